//! Lives here: structured logs, one JSON object on each line of standard output.
//! Never here: metrics; a level that depends on the message's class or text.

use tracing_subscriber::EnvFilter;
use tracing_subscriber::filter::LevelFilter;

/// The database driver says at lower levels what the store says itself, of each connection.
const DRIVER: &str = "sqlx=warn";

/// How to log.
#[derive(Clone, Debug)]
pub struct Config {
    /// A filter as `tracing` reads it: `info`, or `info,mnara::carrier=debug`.
    pub level: String,
    /// JSON (true), or lines for people.
    pub json: bool,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            level: "info".into(),
            json: true,
        }
    }
}

/// A filter that cannot be read.
#[derive(Debug, thiserror::Error)]
#[error("log.level \"{level}\" is not a filter: {reason}; try \"info\"")]
pub struct FilterError {
    level: String,
    reason: String,
}

/// Starts logging for the whole process. A second call changes nothing: the first filter stays
/// (scenario tests run several daemons in one process).
///
/// # Errors
/// [`FilterError`].
pub fn start(config: &Config) -> Result<(), FilterError> {
    let filter = check(config)?;
    let builder = tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_target(true)
        // A line that cannot be written is lost. To tell so on standard error would panic where that
        // is a broken pipe too, in whichever task the line is from.
        .log_internal_errors(false);
    let _already_started = if config.json {
        builder
            .json()
            .flatten_event(true)
            .with_current_span(false)
            .try_init()
    } else {
        builder
            .with_ansi(false)
            .with_writer(std::io::stderr)
            .try_init()
    };
    Ok(())
}

/// Reads the filter without starting anything.
///
/// # Errors
/// [`FilterError`].
pub fn check(config: &Config) -> Result<EnvFilter, FilterError> {
    let read = |level: &str| {
        EnvFilter::try_new(level).map_err(|error| FilterError {
            level: config.level.clone(),
            reason: error.to_string(),
        })
    };
    let filter = read(&config.level)?;
    if filter.max_level_hint() <= Some(LevelFilter::WARN) {
        return Ok(filter);
    }
    // First, so that what the configuration says of the same target is the last word.
    read(&format!("{DRIVER},{}", config.level))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_driver_s_chatter_is_left_out_unless_it_is_asked_for() {
        for (level, told) in [
            ("info", "sqlx=warn,info"),
            (
                "debug,mnara::carrier=trace",
                "sqlx=warn,mnara::carrier=trace,debug",
            ),
            ("sqlx=debug,info", "sqlx=debug,info"),
            ("warn", "warn"),
            ("off", "off"),
        ] {
            let config = Config {
                level: level.into(),
                json: true,
            };
            let directives = |filter: EnvFilter| {
                let mut words: Vec<String> =
                    filter.to_string().split(',').map(str::to_owned).collect();
                words.sort();
                words
            };
            let told = EnvFilter::try_new(told).unwrap();
            assert_eq!(
                directives(check(&config).unwrap()),
                directives(told),
                "{level}"
            );
        }
    }
}
