use std::fs;
use std::path::{Path, PathBuf};

use clap::builder::FalseyValueParser;
use clap::{Arg, value_parser};

use super::live::Settled;
use super::*;

/// A command with a setting of each kind.
fn made_up() -> Settings {
    let serve = Command::new("serve")
        .arg(Arg::new("max_sessions").long("max-sessions").value_parser(value_parser!(u32).range(1..=100)))
        .arg(Arg::new("ratio").long("ratio").value_parser(value_parser!(f64)))
        .arg(Arg::new("kind").long("kind").value_parser(["vad", "simulated"]))
        .arg(
            Arg::new("no_ladder")
                .long("no-ladder")
                .action(clap::ArgAction::SetTrue)
                .value_parser(FalseyValueParser::new()),
        )
        .arg(Arg::new("tag").long("tag").action(clap::ArgAction::Append))
        .arg(Arg::new("view_token").long("view-token").value_parser(refuse_loudly))
        .arg(Arg::new("token_file").long("token-file").value_parser(value_parser!(PathBuf)))
        .arg(Arg::new("config").long("config"));
    let root = Command::new("tachograph").arg(Arg::new("log").long("log").global(true)).subcommand(serve);
    Settings::of(&root, "serve")
}

/// A parser as one should not be.
fn refuse_loudly(text: &str) -> Result<String, String> {
    Err(format!("{text:?} is too short a token"))
}

fn parsed(text: &str) -> Parsed {
    text::read(text, &made_up())
}

fn errors(text: &str) -> Vec<String> {
    parsed(text).errors.iter().map(|error| error.told_of("f")).collect()
}

fn arguments(text: &str) -> Vec<String> {
    let Parsed { given, errors, .. } = parsed(text);
    assert_eq!(errors, []);
    let all = given.values().flat_map(|given| &given.arguments);
    all.map(|argument| argument.to_str().unwrap().to_owned()).collect()
}

#[test]
fn keys_are_flags_and_tables_their_first_words() {
    let flat = "max-sessions = 5\nno-ladder = true\ntag = ['a', 'b c']\nlog = 'info'\nratio = 1.5e0";
    let wanted = ["--log=info", "--max-sessions=5", "--no-ladder", "--ratio=1.5e0", "--tag=a", "--tag=b c"];
    assert_eq!(arguments(flat), wanted);
    for same in [
        "[max]\nsessions = 5",
        "max.sessions = 5",
        "max = { sessions = 5 }",
        "max-sessions = 0x5",
        "max-sessions = '5'",
    ] {
        assert_eq!(arguments(same), ["--max-sessions=5"], "{same}");
    }
    assert_eq!(arguments("no-ladder = false\ntag = []"), [""; 0]);
    assert_eq!(arguments("tag = 'one'"), ["--tag=one"]);
}

#[test]
fn every_error_is_told_at_its_place_with_what_to_do() {
    for (text, told) in [
        ("max_sessions = 5", "f:1:1: `max_sessions` is no setting; did you mean `max-sessions`?"),
        ("\n[max]\n sesions = 5", "f:3:2: `max-sesions` is no setting; did you mean `max-sessions`?"),
        ("colour = 5", "f:1:1: `colour` is no setting; `tachograph serve --help` lists them all"),
        ("config = 'f'", "f:1:1: `config` is no setting; it is a flag alone"),
        ("max-sessions = 0", "f:1:16: `max-sessions`: 0 is not in 1..=100; "),
        ("max-sessions = 'many'", "f:1:16: `max-sessions`: must be a whole number; see --max-sessions in "),
        ("max-sessions = 1.5", "f:1:16: `max-sessions`: must be a whole number; "),
        ("max-sessions = true", "f:1:16: `max-sessions`: must be a whole number; "),
        (
            "max-sessions = 99999999999999999999999999999999999999999",
            "f:1:16: `max-sessions`: the number is too large; ",
        ),
        ("max-sessions = [1]", "f:1:16: `max-sessions`: takes one value, without brackets; "),
        ("max-sessions = 2026-01-01", "f:1:16: `max-sessions`: a date is no value here; "),
        ("max-sessions = { a = 1 }", "f:1:16: `max-sessions`: a table is no value here; "),
        ("ratio = 'x'", "f:1:9: `ratio`: must be a number; "),
        ("kind = 'psychic'", "f:1:8: `kind`: must be one of vad, simulated; "),
        ("no-ladder = 'true'", "f:1:13: `no-ladder`: must be true or false, without quotes; "),
        ("no-ladder = 1", "f:1:13: `no-ladder`: must be true or false, without quotes; "),
        ("tag = ['a', ['b']]", "f:1:13: `tag`: a list within a list is no value here; "),
        ("tag = ['a', { b = 1 }]", "f:1:13: `tag`: a table is no value here; "),
        ("[[tag]]\na = 1", "`tag`: a table is no value here; "),
        ("log = 'ü' # ü\nmax.sessions = 5\nmax-sessions = 6", "f:3:1: `max-sessions` is set in line 2 already; "),
        ("log = 'info'\nlog = 'warn'", "f:2:1: duplicate key; leave one of them out; "),
        ("log = info", "f:1:7: "),
        ("log = 'üüü' x", "f:1:13: "),
    ] {
        let errors = errors(text);
        assert_eq!(errors.len(), 1, "{text}: {errors:?}");
        assert!(errors[0].contains(told), "{text}: {errors:?}");
        assert!(errors[0].starts_with("f:"), "{text}: {errors:?}");
    }
}

#[test]
fn all_errors_are_told_at_once_in_the_order_of_the_text() {
    let text = "log = info\nmax-sessions = 0\n\nzoo = 1\nratio = 'x'\nkind = 'vad\nno-ladder = 7\n";
    let errors = errors(text);
    let places: Vec<&str> = errors.iter().map(|error| error.split(':').nth(1).unwrap()).collect();
    assert_eq!(places, ["1", "2", "4", "5", "6", "7"], "{errors:#?}");
}

#[test]
fn what_is_no_toml_is_not_told_twice() {
    for text in ["max-sessions = 5 5", "max-sessions =", "kind = vad", "tag = ['a' 7", "tag = [['a']"] {
        let told = errors(text);
        assert!(!told.is_empty() && told.iter().all(|error| error.contains("write NAME = VALUE")), "{text}: {told:?}");
        assert!(!parsed(text).is_toml);
    }
}

#[test]
fn secrets_are_never_told() {
    for (text, shown) in [
        ("view-token = 'hunter22'", "its value is not shown"),
        ("view-token = 'x=hunter22'", "its value is not shown"),
        ("token-file = 5", ""),
    ] {
        let errors = errors(text);
        assert!(errors.iter().all(|error| error.contains(shown) && !error.contains("hunter22")), "{errors:?}");
    }
    let path = config("debug", "[otlp]\nendpoint = 'http://h'\nheader = 'a=hunter22'");
    let loaded = loaded(&path, &[]).unwrap();
    fs::remove_file(&path).unwrap();
    assert_eq!(value(&loaded, "otlp-header"), ["a=hunter22"]);
    assert!(!format!("{loaded:?}").contains("hunter22"));
    let settings = made_up();
    let secret: Vec<_> = settings.all().filter(|setting| setting.is_secret()).map(Setting::name).collect();
    assert_eq!(secret, ["view-token"]);
}

#[test]
fn errors_without_end_are_counted() {
    let many: String = (0..1_000).map(|number| format!("k{number} = 1\n")).collect();
    let errors = errors(&many);
    assert_eq!(errors.len(), 101);
    assert_eq!(errors[100], "f: 900 more errors; mend these first");
    let long = parsed(&format!("\"{}\\u001b[2J\" = 1", "x".repeat(10_000))).errors[0].to_string();
    assert!(long.chars().count() < 320 && long.ends_with('…'), "{long}");
    let escape = parsed("\"\\u001b[2J\" = 1").errors[0].to_string();
    assert!(escape.contains("\\u{1b}[2J") && !escape.contains('\u{1b}'), "{escape}");
}

#[test]
fn lists_have_a_length() {
    assert_eq!(errors(&format!("tag = [{}]", "'a',".repeat(1_000))), [""; 0]);
    let long = errors(&format!("tag = [{}]", "'a',".repeat(1_001)));
    assert!(long.len() == 1 && long[0].contains("has more than 1000 values"), "{long:?}");
}

#[test]
fn tables_have_a_depth() {
    let deep = format!("[{}]\nb = 1", vec!["a"; 20].join("."));
    assert!(errors(&deep)[0].contains("nested too deeply"), "{:?}", errors(&deep));
    let deeper = format!("{}1{}", "a = { ".repeat(5_000), " }".repeat(5_000));
    assert!(!errors(&deeper).is_empty());
}

fn config(name: &str, text: impl AsRef<[u8]>) -> PathBuf {
    let path = std::env::temp_dir().join(format!("tachograph-config-{}-{name}", std::process::id()));
    fs::write(&path, text).unwrap();
    path
}

fn loaded(path: &Path, more: &[&str]) -> Result<Loaded, Vec<String>> {
    let begin = ["tachograph", "serve", "--config", path.to_str().unwrap()];
    let arguments: Vec<OsString> = begin.iter().chain(more).map(Into::into).collect();
    let loaded = load(&arguments);
    loaded.map_err(|refused| match refused {
        Refused::Settings(told) => told,
        Refused::CommandLine(error) => vec![one_line(&error)],
    })
}

fn value(loaded: &Loaded, name: &str) -> Vec<String> {
    loaded.values.0[name].iter().map(|value| value.to_str().unwrap().to_owned()).collect()
}

#[test]
fn a_header_that_is_none_is_not_told() {
    let path = config("header", "");
    for header in ["Authorization: Basic aHVudGVyMjI=", "hunter22 a=b", "hunter22"] {
        let told = loaded(&path, &["--otlp-header", header]).unwrap_err();
        assert!(told.len() == 1 && told[0].contains("--otlp-header"), "{told:?}");
        assert!(!told[0].contains("hunter22") && !told[0].contains("aHVudGVy"), "{told:?}");
    }
    fs::remove_file(&path).unwrap();
}

#[test]
fn flags_go_before_the_file_and_the_file_before_defaults() {
    let text =
        "max-sessions = 7\nmax-sources = 3\nlog = 'error'\n[otlp]\nendpoint = 'http://h:1'\nresource = ['a=1', 'b=2']";
    let path = config("precedence", text);
    let more = ["--max-sources", "4", "--otlp-resource=c=3", "--log-format", "json"];
    let loaded = loaded(&path, &more).unwrap();
    fs::remove_file(&path).unwrap();
    for (name, wanted) in [
        ("max-sessions", &["7"][..]),
        ("max-sources", &["4"]),
        ("history-minutes", &["60"]),
        ("log", &["error"]),
        ("log-format", &["json"]),
        ("otlp-resource", &["c=3"]),
    ] {
        assert_eq!(value(&loaded, name), wanted, "{name}");
    }
    assert_eq!(loaded.cli.server().unwrap().limits().sessions, 7);
    assert_eq!(loaded.cli.log.log, "error");
    assert_eq!(loaded.file_settings, 5);
}

#[test]
fn what_does_not_go_together_is_told_where_it_stands() {
    let path = config("together", "max-sessions = 0\n\n[otlp]\nheader = 'a=hunter22'\n");
    let told = loaded(&path, &[]).unwrap_err();
    let file = path.to_str().unwrap();
    assert_eq!(told.len(), 2, "{told:?}");
    assert!(told[0].starts_with(&format!("{file}:1:16: `max-sessions`: ")), "{told:?}");
    assert_eq!(told[1], format!("{file}:4:1: `otlp-header`: has no use without otlp-endpoint; set that too"));
    // By a flag, which is not in the file.
    let told = loaded(&path, &["--otlp-header", "b=2"]).unwrap_err();
    assert!(told[1].starts_with("error: --otlp-header: "), "{told:?}");
    // With a flag, it does go together.
    fs::write(&path, "[otlp]\nheader = 'a=hunter22'\n").unwrap();
    assert!(loaded(&path, &["--otlp-endpoint", "http://h"]).is_ok());
    let many: Vec<String> = (0..40).map(|number| format!("'x-{number}=1'")).collect();
    fs::write(&path, format!("[otlp]\nendpoint = 'http://h'\nheader = [{}]", many.join(","))).unwrap();
    let told = loaded(&path, &[]).unwrap_err();
    fs::remove_file(&path).unwrap();
    assert_eq!(told, [format!("{file}:3:1: `otlp-header`: there can be 32 headers")]);
}

#[test]
fn files_that_are_no_texts_are_refused() {
    let not_utf8 = config("utf8", b"log = 'info'\nx = '\xc3\xa4\xff'");
    let endless = config("endless", vec![b'#'; 1_000_001]);
    let long = config("long", vec![b'#'; 1_000_000]);
    for (path, told) in [
        (Path::new("/no/such/file"), ": cannot be read: "),
        (Path::new("/"), ": cannot be read: "),
        (Path::new("/dev/zero"), ": cannot be read: it is no ordinary file; name a file"),
        (&not_utf8, ":2:7: is not UTF-8; save the file as UTF-8"),
        (&endless, ": is longer than 1000000 bytes; "),
    ] {
        let errors = loaded(path, &[]).unwrap_err();
        assert!(errors.len() == 1 && errors[0].contains(told), "{errors:?}");
    }
    assert!(loaded(&long, &[]).is_ok());
    for path in [not_utf8, endless, long] {
        fs::remove_file(path).unwrap();
    }
}

#[test]
fn files_that_settings_name_are_to_be_there() {
    let settings = made_up();
    let there = config("there", "");
    let matches = |path: &str| {
        let token_file = Arg::new("token_file").long("token-file").value_parser(value_parser!(PathBuf));
        Command::new("serve").arg(token_file).try_get_matches_from(["serve", "--token-file", path]).unwrap()
    };
    assert_eq!(unreadable_files(&settings, &matches(there.to_str().unwrap())), []);
    fs::remove_file(&there).unwrap();
    let complaints = unreadable_files(&settings, &matches(there.to_str().unwrap()));
    assert!(complaints.len() == 1 && complaints[0].setting == "token-file", "{complaints:?}");
    assert!(complaints[0].what.contains("cannot be read"), "{complaints:?}");
    assert!(complaints[0].what.contains(there.to_str().unwrap()), "{complaints:?}");
    let complaints = unreadable_files(&settings, &matches("hunter22hunter22"));
    assert!(
        complaints[0].what.contains("cannot be read") && !complaints[0].what.contains("hunter22"),
        "{complaints:?}"
    );
}

#[cfg(unix)]
#[test]
fn a_file_with_secrets_that_all_can_read_is_warned_of() {
    use std::os::unix::fs::PermissionsExt;

    let path = config("secret", "[otlp]\nendpoint = 'http://h'\nheader = 'authorization=hunter22'");
    for (mode, is_warned) in [(0o644, true), (0o640, false)] {
        fs::set_permissions(&path, fs::Permissions::from_mode(mode)).unwrap();
        let warnings = loaded(&path, &[]).unwrap().warnings;
        assert_eq!(warnings.len(), usize::from(is_warned), "{mode:o}: {warnings:?}");
        assert!(warnings.iter().all(|warning| warning.contains("`otlp-header`") && !warning.contains("hunter22")));
    }
    fs::remove_file(&path).unwrap();
}

#[test]
fn either_all_parts_change_or_none() {
    use std::sync::Arc;
    use std::sync::atomic::{AtomicU32, Ordering};

    let path = config("parts", "max-sessions = 7");
    let Loaded { cli, values, .. } = loaded(&path, &[]).unwrap();
    fs::write(&path, "max-sessions = 8\nmax-sources = 3").unwrap();
    let now = loaded(&path, &[]).unwrap();
    fs::remove_file(&path).unwrap();
    let changes = Arc::new(AtomicU32::new(0));
    let mut live = Live::default();
    let counted = Arc::clone(&changes);
    live.part(&["max-sessions"], move |settled| {
        let (counted, sessions) = (Arc::clone(&counted), settled.serve.limits().sessions as u32);
        Ok(Box::new(move || counted.store(sessions, Ordering::Relaxed)) as Change)
    });
    let settled = |cli| -> Settled<'_> {
        let cli: &Cli = cli;
        Settled { log: &cli.log, serve: cli.server().unwrap() }
    };
    live.prepare(settled(&cli)).unwrap().into_iter().for_each(|change| change());
    assert_eq!(changes.load(Ordering::Relaxed), 7);
    assert_eq!(live.changed(&values, &now.values), (vec!["max-sessions"], vec!["max-sources"]));
    live.part(&["log"], |_| Err("no".into()));
    assert_eq!(live.prepare(settled(&now.cli)).err(), Some(vec!["log: no".into()]));
    assert_eq!(changes.load(Ordering::Relaxed), 7);
    // What changed is in force; what waits for a restart is told again.
    let mut values = values;
    values.take(&now.values, &["max-sessions"]);
    assert_eq!(live.changed(&values, &now.values), (vec![], vec!["max-sources"]));
}

/// The texts that fuzzing begins with.
fn seeds() -> impl Iterator<Item = (String, String)> {
    let corpus = Path::new(env!("CARGO_MANIFEST_DIR")).join("../fuzz/corpus/config");
    fs::read_dir(corpus).unwrap().map(|entry| {
        let path = entry.unwrap().path();
        (path.file_name().unwrap().to_str().unwrap().to_owned(), fs::read_to_string(&path).unwrap())
    })
}

#[test]
fn seeds_are_as_good_as_their_names_say() {
    let mut all = 0;
    for (name, text) in seeds() {
        all += 1;
        let errors = check_text(&text);
        assert_eq!(errors.is_empty(), name.starts_with("good"), "{name}: {errors:?}");
    }
    assert!(all >= 5, "{all}");
}

#[test]
fn no_part_of_a_text_and_no_wrong_byte_in_it_panics() {
    for (_, text) in seeds() {
        for (at, _) in text.char_indices() {
            let (before, after) = text.split_at(at);
            let _any_errors = check_text(before);
            let wrong = ['"', '[', '\n', '=', '\u{0}', 'é'][at % 6];
            let _any_errors = check_text(&format!("{before}{wrong}{after}"));
        }
    }
}

/// The file that comes with the program, without what keeps its lines from being settings.
fn example() -> String {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../packaging/tachograph.toml");
    let text = fs::read_to_string(path).unwrap();
    let lines = text.lines().map(|line| match line.strip_prefix('#') {
        Some(setting) if setting.starts_with(|c: char| c.is_ascii_alphabetic() || c == '[') => setting,
        _ => line,
    });
    lines.map(|line| format!("{line}\n")).collect()
}

#[test]
fn the_example_is_good_and_has_every_setting_with_its_default() {
    let text = example();
    let errors: Vec<_> = check_text(&text).iter().map(ToString::to_string).collect();
    assert_eq!(errors, [""; 0]);
    let root = without_environment(Cli::command());
    let settings = Settings::of(&root, SERVE);
    let given = text::read(&text, &settings).given;
    for setting in settings.all() {
        let name = setting.name();
        let given =
            &given.get(name).unwrap_or_else(|| panic!("packaging/tachograph.toml does not have {name}")).arguments;
        let defaults: Vec<_> = setting.defaults().map(|value| setting.argument(value)).collect();
        assert!(defaults.is_empty() || *given == defaults, "{name}: {given:?}, but the default is {defaults:?}");
    }
    assert_eq!(given.len(), settings.all().count());
}
