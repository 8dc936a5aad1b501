//! What a forger has: a true record, keys of people whom the reader knows or does not, and the means to put bytes
//! together as they like.

use dag_cache::trust::{Keyring, Purpose, Trust, WriterKey, open, seal};
use dag_cache::{Digest, Lookup, Record, StageKey};

use crate::world::{World, key, overwrite};

/// The group's order, little-endian: S and S + L sign the same under a careless reader.
const L: [u8; 32] = [
    0xed, 0xd3, 0xf5, 0x5c, 0x1a, 0x63, 0x12, 0x58, 0xd6, 0x9c, 0xf7, 0xa2, 0xde, 0xf9, 0xde, 0x14,
    0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0x10,
];

/// A reader with a keyring, and everything that a forger can lay hands on.
pub(crate) struct Forger {
    world: World,
    /// Trusted.
    pub(crate) alice: WriterKey,
    /// Trusted.
    pub(crate) bob: WriterKey,
    /// Trusted once, revoked since.
    pub(crate) carol: WriterKey,
    /// Nobody knows her.
    pub(crate) mallory: WriterKey,
    keyring: Keyring,
    /// The record of key `a`, whose blob the reader has.
    pub(crate) true_record: Record,
    /// The same as it lies in a cache folder.
    pub(crate) plain: Vec<u8>,
}

impl Forger {
    pub(crate) fn new() -> Self {
        let world = World::new();
        let secret =
            |last: u8| WriterKey::from_text(&format!("dag-writer-key-v1:{last:064x}")).unwrap();
        let [alice, bob, carol, mallory] = [1, 2, 3, 4].map(secret);
        let mut keyring = Keyring::default();
        for (name, writer) in [("alice", &alice), ("bob", &bob), ("carol", &carol)] {
            keyring.trust(name, writer.writer()).unwrap();
        }
        keyring.revoke(carol.writer(), "2026-01-01T00:00:00Z");
        let true_record = world.published("a", b"result");
        let plain = fs_err::read(&world.files("records-v1")[0]).unwrap();
        Self {
            world,
            alice,
            bob,
            carol,
            mallory,
            keyring,
            true_record,
            plain,
        }
    }

    /// The JSON of the true record.
    pub(crate) fn json(&self) -> String {
        let text = String::from_utf8(self.plain.clone()).unwrap();
        text.split_once('\n').unwrap().1.to_owned()
    }

    /// The true record with one text in place of another, and a checksum that fits.
    pub(crate) fn edited(&self, from: &str, to: &str) -> Vec<u8> {
        let json = self.json();
        assert!(json.contains(from), "`{from}` is not in {json}");
        as_record(json.replacen(from, to, 1).as_bytes())
    }

    /// Signed by alice, as the record of `a`.
    pub(crate) fn by_alice(&self, payload: &[u8]) -> Vec<u8> {
        seal(Purpose::Record, &name(), payload, Some(&self.alice))
    }

    /// [`Forger::edited`], and alice signs it: she may be mistaken, or her program be.
    pub(crate) fn alice_says(&self, from: &str, to: &str) -> Vec<u8> {
        self.by_alice(&self.edited(from, to))
    }

    /// The true record, sealed by alice, with its words (`dag`, `sealed`, version, purpose, writer, signature) changed.
    pub(crate) fn words(&self, change: impl FnOnce(&mut Vec<String>)) -> Vec<u8> {
        let sealed = self.by_alice(&self.plain);
        let end = sealed.iter().position(|byte| *byte == b'\n').unwrap();
        let line = std::str::from_utf8(&sealed[..end]).unwrap();
        let mut words = line.split(' ').map(str::to_owned).collect();
        change(&mut words);
        assert_ne!(words.join(" "), line, "nothing changed");
        [words.join(" ").as_bytes(), &sealed[end..]].concat()
    }

    /// What a reader makes of bytes that a remote keeps as the record of `a`: opened, then read as the cache reads
    /// records.
    pub(crate) fn received(&self, sealed: &[u8], trust: &Trust) -> Result<Record, String> {
        self.received_as(&key("a"), sealed, trust)
    }

    pub(crate) fn received_as(
        &self,
        key: &StageKey,
        sealed: &[u8],
        trust: &Trust,
    ) -> Result<Record, String> {
        let opened = open(
            Purpose::Record,
            &key.to_string(),
            sealed,
            trust,
            &self.keyring,
        )
        .map_err(|refusal| refusal.to_string())?;
        let hex = key.to_string();
        let place = self
            .world
            .root()
            .join("records-v1")
            .join(&hex[..2])
            .join(&hex);
        fs_err::create_dir_all(place.parent().unwrap()).unwrap();
        if place.exists() {
            overwrite(&place, &opened.payload);
        } else {
            fs_err::write(&place, &opened.payload).unwrap();
        }
        match self.world.cache.lookup(key) {
            Lookup::Hit(record) => Ok(*record),
            Lookup::Damaged { reason } => Err(reason),
            other => panic!("{other:?}"),
        }
    }

    /// What a reader makes of an index of rows.
    pub(crate) fn received_rows(&self, name: &str, sealed: &[u8]) -> Result<Vec<u8>, String> {
        open(Purpose::Rows, name, sealed, &Trust::Signed, &self.keyring)
            .map(|opened| opened.payload)
            .map_err(|refusal| refusal.to_string())
    }
}

/// The name of the record of `a`.
pub(crate) fn name() -> String {
    key("a").to_string()
}

/// A body with a first line whose checksum fits.
pub(crate) fn as_record(body: &[u8]) -> Vec<u8> {
    let mut bytes = format!("dag record v1 {}\n", Digest::of(body)).into_bytes();
    bytes.extend_from_slice(body);
    bytes
}

/// A signature with S + L in place of S.
pub(crate) fn with_other_s(signature: &str) -> String {
    let mut carry = 0;
    let mut text = signature[..64].to_owned();
    for (at, part) in L.iter().enumerate() {
        let digits = &signature[64 + 2 * at..66 + 2 * at];
        let sum = u16::from_str_radix(digits, 16).unwrap() + u16::from(*part) + carry;
        carry = sum >> 8;
        text.push_str(&format!("{:02x}", sum & 0xff));
    }
    assert_eq!(carry, 0, "S + L is below 2^256");
    text
}

/// The first line that somebody gets who signs other bytes than the seal has them sign.
pub(crate) fn signed_otherwise(secret: &WriterKey, message: &[u8], payload: &[u8]) -> Vec<u8> {
    use ed25519_dalek::Signer as _;
    let secret = secret.to_text();
    let secret: Digest = secret.rsplit_once(':').unwrap().1.parse().unwrap();
    let key = ed25519_dalek::SigningKey::from_bytes(secret.as_bytes());
    let hex = |bytes: &[u8]| -> String { bytes.iter().map(|byte| format!("{byte:02x}")).collect() };
    let line = format!(
        "dag sealed v1 record {} {}\n",
        hex(key.verifying_key().as_bytes()),
        hex(&key.sign(message).to_bytes())
    );
    [line.as_bytes(), payload].concat()
}

/// The first part of what is signed.
pub(crate) const DOMAIN: &str = "dag seal v1";

/// What the seal has a writer sign, as `docs/format.md` says it.
pub(crate) fn message(domain: &str, purpose: &str, name: &str, payload: &[u8]) -> Vec<u8> {
    let digest = Digest::of(payload);
    let parts: [&[u8]; 4] = [
        domain.as_bytes(),
        purpose.as_bytes(),
        name.as_bytes(),
        digest.as_bytes(),
    ];
    parts
        .iter()
        .flat_map(|part| [&(part.len() as u64).to_le_bytes()[..], part].concat())
        .collect()
}
