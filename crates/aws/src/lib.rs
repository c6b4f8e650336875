//! The Cloud port on the AWS SDK. Empty until the local cloud carries the whole job; must never decide anything.
