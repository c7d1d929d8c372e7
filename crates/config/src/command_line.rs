//! The command line of `mosquitto`.

use crate::nearest::advice;
use crate::place::Place;
use crate::problem::Problem;

/// What a command line asks for.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct CommandLine {
    /// `-c`: the configuration file.
    pub config_file: Option<String>,
    /// `-p`: ports, which count only if the configuration has no listener.
    pub ports: Vec<u16>,
    /// `-v` and `-q`.
    pub verbosity: Verbosity,
    /// `-d`: leave the terminal once everything listens.
    pub daemon: bool,
    /// `--tls-keylog`.
    pub tls_keylog: Option<String>,
    /// What to do.
    pub task: Task,
}

/// How much is logged, whatever the configuration says.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Verbosity {
    /// As the configuration says.
    #[default]
    Usual,
    /// Everything.
    Verbose,
    /// Nothing. It wins over `-v`.
    Quiet,
}

/// What to do with the configuration.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Task {
    /// Serve.
    #[default]
    Serve,
    /// Read it, say what is wrong, and end: status 0 if nothing is, else 3.
    Test,
    /// Tell how the command is used.
    Help,
    /// Tell the version.
    Version,
}

/// The status with which the process ends when the configuration is wrong, as Mosquitto's does.
pub const WRONG_CONFIGURATION: u8 = 3;

/// Ports that may be given, as in Mosquitto.
const PORTS: usize = 10;

/// The options, each short and long.
const OPTIONS: [&str; 14] = [
    "-c",
    "--config-file",
    "-d",
    "--daemon",
    "-h",
    "--help",
    "-p",
    "--port",
    "-q",
    "--quiet",
    "-v",
    "--verbose",
    "--version",
    "--test-config",
];

impl CommandLine {
    /// Understands the arguments after the name of the program. The first of `-h` and `--version` ends it,
    /// as whoever asks for help wants no other answer.
    ///
    /// # Errors
    ///
    /// The first thing that is wrong.
    pub fn parse<'a>(arguments: impl IntoIterator<Item = &'a str>) -> Result<Self, Problem> {
        let mut line = Self::default();
        let mut arguments = arguments.into_iter();
        while let Some(argument) = arguments.next() {
            let mut value = |what: &str| {
                arguments.next().ok_or_else(|| {
                    let kind = match what {
                        "a file" if argument.starts_with("-c") => "config file",
                        "a file" => "file",
                        _ => "port",
                    };
                    let words = format!("{argument} argument given, but no {kind} specified.");
                    wrong(format!("{argument} needs {what} after it"), words)
                })
            };
            match argument {
                "-c" | "--config-file" => line.config_file = Some(value("a file")?.to_owned()),
                "-p" | "--port" => line.add_port(value("a port")?)?,
                "--tls-keylog" => line.tls_keylog = Some(value("a file")?.to_owned()),
                "-d" | "--daemon" => line.daemon = true,
                "-q" | "--quiet" => line.verbosity = Verbosity::Quiet,
                "-v" | "--verbose" => {
                    if line.verbosity == Verbosity::Usual {
                        line.verbosity = Verbosity::Verbose;
                    }
                }
                "--test-config" => line.task = Task::Test,
                "-h" | "--help" => return Ok(Self { task: Task::Help, ..line }),
                "--version" => return Ok(Self { task: Task::Version, ..line }),
                _ => {
                    let advice = advice(argument, OPTIONS.into_iter().chain(["--tls-keylog"]));
                    let what = format!("there is no option `{argument}`{advice}");
                    return Err(wrong(what, format!("Unknown option '{argument}'.")));
                }
            }
        }
        Ok(line)
    }

    fn add_port(&mut self, text: &str) -> Result<(), Problem> {
        let port = text.parse().ok().filter(|port| *port > 0);
        let port = port.ok_or_else(|| {
            let words = format!("Invalid port specified ({text}).");
            wrong(format!("`{text}` is no port: 1 to 65535"), words)
        })?;
        if self.ports.len() == PORTS {
            let words = format!("Only {PORTS} ports can be specified on the command line.");
            return Err(wrong(format!("{PORTS} ports at the most can be given with -p"), words));
        }
        self.ports.push(port);
        Ok(())
    }
}

fn wrong(what: String, mosquitto: String) -> Problem {
    Problem::at(&Place::whole("command line"), what).in_mosquittos_words(mosquitto)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(line: &str) -> Result<CommandLine, Problem> {
        CommandLine::parse(line.split_whitespace())
    }

    #[test]
    fn options_are_understood_as_mosquitto_does() {
        let line = parse("-v -c a.conf -p 1884 --port 1885 -d --tls-keylog keys").unwrap();
        assert_eq!(line.config_file.as_deref(), Some("a.conf"));
        assert_eq!(line.ports, [1884, 1885]);
        assert_eq!(line.verbosity, Verbosity::Verbose);
        assert!(line.daemon);
        assert_eq!(line.tls_keylog.as_deref(), Some("keys"));
        assert_eq!(parse("-q -v").unwrap().verbosity, Verbosity::Quiet);
        assert_eq!(parse("-v -q").unwrap().verbosity, Verbosity::Quiet);
        assert_eq!(parse("--test-config -c x").unwrap().task, Task::Test);
        assert_eq!(parse("-h -p nonsense").unwrap().task, Task::Help);
        assert_eq!(parse("--version").unwrap().task, Task::Version);
    }

    #[test]
    fn what_is_wrong_is_named() {
        for (line, told) in [
            ("-c", "-c needs a file"),
            ("-p", "-p needs a port"),
            ("-p 0", "`0` is no port"),
            ("-p 65536", "`65536` is no port"),
            ("--tls-keylog", "--tls-keylog needs a file"),
            ("--tls-keyfog x", "did you mean `--tls-keylog`?"),
            ("file.conf", "there is no option `file.conf`"),
        ] {
            let problem = parse(line).unwrap_err().to_string();
            assert!(problem.contains(told), "{line}: {problem}");
        }
        assert!(parse(&"-p 1 ".repeat(11)).is_err());
    }
}
