//! What an instance type's name says by itself.

/// The processor of a type in Docker's words.
///
/// A family's name is letters, a generation, and attributes; the attribute `g` stands for AWS Graviton (EC2 instance
/// types, "Instance type naming conventions"). The first Graviton family has none.
pub fn architecture(instance_type: &str) -> &'static str {
    let family = instance_type.split('.').next().unwrap_or_default();
    let attributes = family
        .trim_start_matches(|c: char| c.is_ascii_alphabetic())
        .trim_start_matches(|c: char| c.is_ascii_digit());
    if family == "a1" || attributes.contains('g') {
        "arm64"
    } else {
        "amd64"
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn graviton_is_told_by_its_attribute_and_a_graphics_card_is_none() {
        for (name, expected) in [
            ("t3.medium", "amd64"),
            ("t4g.large", "arm64"),
            ("m6gd.xlarge", "arm64"),
            ("c7gn.2xlarge", "arm64"),
            ("a1.large", "arm64"),
            ("g4dn.xlarge", "amd64"),
            ("g5g.xlarge", "arm64"),
            ("m7i-flex.large", "amd64"),
            ("u-6tb1.metal", "amd64"),
            ("", "amd64"),
        ] {
            assert_eq!(architecture(name), expected, "{name}");
        }
    }
}
