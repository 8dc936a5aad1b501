//! Amazon's shared files: keys, region and endpoint of a profile in `~/.aws/credentials` and `~/.aws/config`.
//!
//! The object stores' crate reads the environment and the machine's role, but not these files. Read here are
//! the settings that stand in them as such: `aws_access_key_id`, `aws_secret_access_key`,
//! `aws_session_token`, `region`, `endpoint_url`. What needs a program or a login (`credential_process`,
//! `sso_session`, `role_arn`) is not done; `aws configure export-credentials --format env` puts its result
//! into the environment.

use std::collections::BTreeMap;
use std::path::PathBuf;

/// A profile's settings.
pub(super) type Profile = BTreeMap<String, String>;

/// The settings that only a program or a login could answer.
const NOT_DONE: [&str; 4] = [
    "credential_process",
    "sso_session",
    "sso_start_url",
    "role_arn",
];

/// The profile that the environment names, or the default one. Empty if there is none.
///
/// # Errors
/// In words: it was named and is not there, or has no keys of its own.
pub(super) fn profile(environment: &BTreeMap<String, String>) -> Result<Profile, String> {
    let named = environment
        .get("AWS_PROFILE")
        .or_else(|| environment.get("AWS_DEFAULT_PROFILE"))
        .filter(|name| !name.is_empty());
    let name = named.map_or("default", String::as_str);
    let text = |variable: &str, file: &str| {
        let path = environment.get(variable).map(PathBuf::from).or_else(|| {
            let home = environment.get("HOME")?;
            Some(PathBuf::from(home).join(".aws").join(file))
        });
        // A file that is not there holds no profile.
        path.and_then(|path| fs_err::read_to_string(path).ok())
            .unwrap_or_default()
    };
    // Keys may stand in both files; those of the credentials file win.
    let mut profile = section(&text("AWS_CONFIG_FILE", "config"), |header| {
        header == name || header.strip_prefix("profile ").map(str::trim) == Some(name)
    });
    profile.extend(section(
        &text("AWS_SHARED_CREDENTIALS_FILE", "credentials"),
        |header| header == name,
    ));
    let has_keys = profile.contains_key("aws_access_key_id");
    match named {
        Some(name) if profile.is_empty() => Err(format!(
            "AWS_PROFILE names `{name}`, which is neither in the credentials file nor in the config file"
        )),
        Some(name) if !has_keys => match NOT_DONE.iter().find(|key| profile.contains_key(**key)) {
            Some(key) => Err(format!(
                "the profile `{name}` gets its keys by `{key}`, which is not done here; run \
                 `aws configure export-credentials --profile {name} --format env` and set what it prints"
            )),
            None => Ok(profile),
        },
        _ => Ok(profile),
    }
}

/// The settings of the sections whose header fits. Indented lines belong to the setting above.
fn section(text: &str, fits: impl Fn(&str) -> bool) -> Profile {
    let mut profile = Profile::new();
    let mut inside = false;
    for line in text.lines() {
        let plain = line.trim();
        if let Some(header) = plain
            .strip_prefix('[')
            .and_then(|rest| rest.strip_suffix(']'))
        {
            inside = fits(header.trim());
        } else if inside
            && !line.starts_with([' ', '\t', '#', ';'])
            && let Some((key, value)) = plain.split_once('=')
        {
            profile.insert(key.trim().to_ascii_lowercase(), value.trim().to_owned());
        }
    }
    profile
}

#[cfg(test)]
mod tests {
    use super::*;

    fn environment(
        profile: Option<&str>,
        credentials: &str,
        config: &str,
    ) -> (tempfile::TempDir, BTreeMap<String, String>) {
        let home = tempfile::tempdir().unwrap();
        fs_err::create_dir(home.path().join(".aws")).unwrap();
        fs_err::write(home.path().join(".aws/credentials"), credentials).unwrap();
        fs_err::write(home.path().join(".aws/config"), config).unwrap();
        let mut environment =
            BTreeMap::from([("HOME".to_owned(), home.path().display().to_string())]);
        if let Some(profile) = profile {
            environment.insert("AWS_PROFILE".to_owned(), profile.to_owned());
        }
        (home, environment)
    }

    const CREDENTIALS: &str = "[default]\naws_access_key_id = A1\naws_secret_access_key=S1\n\n\
        # of the team\n[team]\naws_access_key_id=A2\naws_secret_access_key=S2\naws_session_token=T2==\n";
    const CONFIG: &str = "[default]\nregion=eu-west-1\n[profile team]\nregion = eu-north-1\ns3 =\n  max_queue_size = 10\n\
        [profile login]\nsso_session = us\n";

    #[test]
    fn a_profile_comes_from_both_files() {
        let (_home, env) = environment(Some("team"), CREDENTIALS, CONFIG);
        let found = profile(&env).unwrap();
        assert_eq!(found["aws_access_key_id"], "A2");
        assert_eq!(found["aws_session_token"], "T2==");
        assert_eq!(found["region"], "eu-north-1");
        assert!(!found.contains_key("max_queue_size"));
    }

    #[test]
    fn without_a_name_it_is_the_default_one() {
        let (_home, env) = environment(None, CREDENTIALS, CONFIG);
        let found = profile(&env).unwrap();
        assert_eq!(
            (&*found["aws_access_key_id"], &*found["region"]),
            ("A1", "eu-west-1")
        );
        assert!(profile(&BTreeMap::new()).unwrap().is_empty());
    }

    #[test]
    fn a_named_one_that_cannot_be_used_says_why() {
        let (_home, env) = environment(Some("nobody"), CREDENTIALS, CONFIG);
        assert!(profile(&env).unwrap_err().contains("`nobody`"));
        let (_home, env) = environment(Some("login"), CREDENTIALS, CONFIG);
        assert!(
            profile(&env)
                .unwrap_err()
                .contains("export-credentials --profile login")
        );
    }
}
