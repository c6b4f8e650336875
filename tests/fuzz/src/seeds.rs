//! Valid inputs for every target, made and not found, so that mutation begins behind the first check.

use arya_bundle::pack::{ImageSpec, Layer, LayerWriter, docker_save_classic, oci_layout};
use tar::{EntryType, Header};

const CANNOT_FAIL: &str = "writing into memory cannot fail";

fn spec() -> ImageSpec {
    ImageSpec {
        reference: "emr:1.1".to_owned(),
        architecture: "amd64".to_owned(),
        env: vec!["A=b".to_owned()],
        entrypoint: vec!["/app".to_owned()],
        exposed_ports: vec![8080],
        ..ImageSpec::default()
    }
}

fn small_layer() -> Vec<u8> {
    let mut writer = LayerWriter::new(Vec::new());
    writer.file("d/app", 0o755, 1, &b"x"[..]).expect(CANNOT_FAIL);
    writer.symlink("link", "d/app").expect(CANNOT_FAIL);
    writer.finish().expect(CANNOT_FAIL)
}

/// Both layouts, as they are and with the checksums mended.
pub(crate) fn archives() -> Vec<Vec<u8>> {
    let layer = small_layer();
    let mut classic = Vec::new();
    docker_save_classic(&spec(), &[Layer::Bytes(&layer)], &mut classic).expect(CANNOT_FAIL);
    let mut oci = Vec::new();
    oci_layout(&spec(), &[Layer::Bytes(&layer)], &mut oci).expect(CANNOT_FAIL);
    [classic, oci]
        .iter()
        .flat_map(|archive| [0, 1].map(|mode| [&[mode], &archive[..]].concat()))
        .collect()
}

/// One entry with any name and link.
fn entry(kind: u8, path: &str, link: &str, content: &[u8]) -> Vec<u8> {
    let mut header = Header::new_ustar();
    header.as_old_mut().name[..path.len()].copy_from_slice(path.as_bytes());
    header.as_old_mut().linkname[..link.len()].copy_from_slice(link.as_bytes());
    header.set_entry_type(EntryType::new(kind));
    header.set_mode(0o755);
    header.set_size(content.len() as u64);
    let mut bytes = [header.as_bytes(), content].concat();
    bytes.resize(bytes.len().next_multiple_of(512), 0);
    bytes
}

/// A lower layer of two entries, and one entry of every kind above it.
pub(crate) fn layers() -> Vec<Vec<u8>> {
    let lower = [entry(b'0', "d/a", "", b"1"), entry(b'2', "l", "d", b"")].concat();
    let uppers = [
        entry(b'0', "d/b", "", b"2"),
        entry(b'0', "d/.wh.a", "", b""),
        entry(b'0', "d/.wh..wh..opq", "", b""),
        entry(b'0', "../x", "", b""),
        entry(b'0', "l/x", "", b"2"),
        entry(b'1', "h", "d/a", b""),
        entry(b'2', "s", "/d/a", b""),
        entry(b'3', "null", "", b""),
        entry(b'5', "d/", "", b""),
        entry(b'6', "pipe", "", b""),
        [entry(b'x', "p", "", b"11 path=ab\n"), entry(b'0', "d/c", "", b"3")].concat(),
        [entry(b'L', "p", "", b"long/name\0"), entry(b'0', "d/c", "", b"3")].concat(),
    ];
    let blocks = u8::try_from(lower.len() / 512).expect("three blocks");
    uppers
        .iter()
        .zip(0_u8..)
        .map(|(upper, number)| [&[number % 2, blocks], &lower[..], &upper[..]].concat())
        .collect()
}

/// An index with a manifest and a config, and the older list.
pub(crate) fn documents() -> Vec<Vec<u8>> {
    const CONFIG: &str = r#"{"architecture":"arm64","os":"linux","variant":"v8","created":"1970-01-01T00:00:00Z","config":{"Env":["A=b"],"Entrypoint":["/app"],"Cmd":null,"WorkingDir":"/srv","User":"app","ExposedPorts":{"8080/tcp":{},"90-92/udp":{}},"Labels":{"a":"b"}},"rootfs":{"type":"layers","diff_ids":["sha256:@l"]},"history":[{"created_by":"x","empty_layer":true}]}"#;
    const MANIFEST: &str = r#"{"schemaVersion":2,"mediaType":"application/vnd.oci.image.manifest.v1+json","config":{"mediaType":"application/vnd.oci.image.config.v1+json","digest":"sha256:@0","size":9},"layers":[{"mediaType":"application/vnd.oci.image.layer.v1.tar+gzip","digest":"sha256:@z","size":9}]}"#;
    const INDEX: &str = r#"{"schemaVersion":2,"manifests":[{"mediaType":"application/vnd.oci.image.manifest.v1+json","digest":"sha256:@1","size":9,"annotations":{"io.containerd.image.name":"docker.io/library/emr:1.1","org.opencontainers.image.ref.name":"1.1"},"platform":{"architecture":"arm64","os":"linux"}}]}"#;
    const LIST: &str = r#"[{"Config":"blobs/sha256/@0","RepoTags":["emr:1.1"],"Layers":["blobs/sha256/@l"]}]"#;
    const NESTED: &str = r#"{"schemaVersion":2,"manifests":[{"mediaType":"application/vnd.oci.image.index.v1+json","digest":"sha256:@2","size":9}]}"#;
    let join = |mode: u8, documents: &[&str]| [&[mode], documents.join("\0").as_bytes()].concat();
    vec![
        join(1, &[CONFIG, MANIFEST, INDEX]),
        join(1, &[CONFIG, MANIFEST, INDEX, NESTED]),
        join(2, &[CONFIG, LIST]),
    ]
}

/// Every key that is read, in its short and long forms.
pub(crate) fn composes() -> Vec<Vec<u8>> {
    const WHOLE: &str = "name: shop\nx-c: &c {restart: always}\nservices:\n  web:\n    <<: *c\n    image: emr:${TAG:-1.1}\n    \
        command: run \"two words\"\n    entrypoint: [/app]\n    environment: {A: 1, B: }\n    env_file: [.env, {path: b, required: false}]\n    \
        ports: ['8080:80', '127.0.0.1:9-10:9-10/udp', {target: 443, published: '8443', host_ip: '::1'}]\n    expose: [7000, '1-2/tcp']\n    \
        volumes: ['v:/v', './c:/c:ro', /x, {type: tmpfs, target: /t}]\n    depends_on: {db: {condition: service_healthy}}\n    \
        healthcheck: {test: [CMD, x]}\n    secrets: [k]\n    profiles: [p]\n    network_mode: host\n  db:\n    image: postgres\n    \
        build: {context: .}\n    extends: {file: b.yml, service: s}\n    depends_on: [web]\n    environment: [A=1, B]\n\
        volumes: {v: }\nsecrets: {k: {file: k.pem}}\nconfigs: {c: {file: c}}\ninclude: [a.yml, {path: [b.yml]}]\n";
    const ANCHORS: &str =
        "a: &a [x, x]\nb: &b [*a, *a]\nservices: {web: {image: x, labels: *b, <<: [{user: a}, {user: b}]}}";
    [
        WHOLE,
        ANCHORS,
        "services: {a: {image: |\n  x\n }}",
        "? services\n: a: {image: >-\n    x}\n",
    ]
    .map(|text| text.as_bytes().to_vec())
    .to_vec()
}

/// One text for each form.
pub(crate) fn interpolations() -> Vec<Vec<u8>> {
    [
        "$SET",
        "${SET}",
        "${NO:-d}",
        "${NO-${SET:+x}}",
        "${NO:?m}",
        "$$SET",
        "${EMPTY:-a$$b}",
    ]
    .map(|text| text.as_bytes().to_vec())
    .to_vec()
}
