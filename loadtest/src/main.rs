//! Lives here: the command line of the load-test tool. Never here: load, simulation or comparison.

use std::{
    io::IsTerminal, net::ToSocketAddrs, path::PathBuf, process::ExitCode, sync::Arc, time::Duration,
};

use anyhow::{Context, anyhow, bail};
use clap::{Args, Parser, Subcommand, ValueEnum};
use mnara_loadtest::{
    esme::{self, EsmeConfig},
    http::{self, HttpConfig, Pace, RequestShape},
    ledger::Ledger,
    networks::NETWORKS,
    profile::{self, Options, Profile, StoreKind},
    smsc::{IdStyle, Script, Smsc, SmscConfig, Span},
};
use mnara_smpp::{
    client::Connect,
    pdu::{Bind, BindKind},
    status::CommandStatus,
};
use tokio::{runtime::Builder, time::interval};

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// Simulated carriers, load generators and whole-daemon profiles for Mnara.
#[derive(Parser)]
#[command(version)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Run simulated carriers until Ctrl-C.
    Smsc(SmscArgs),
    /// Submit over SMPP to any SMSC and print pairs per second.
    Esme(EsmeArgs),
    /// Send messages over REST and print rates and percentiles.
    Http(HttpArgs),
    /// Start daemon and simulators, run a profile and compare every message.
    Run(RunArgs),
}

#[derive(Args)]
struct SmscArgs {
    /// First port on 127.0.0.1; 0 takes free ones.
    #[arg(long, default_value_t = 2775)]
    port: u16,
    /// Simulators, on ports that follow each other.
    #[arg(long, default_value_t = 1)]
    count: u16,
    /// Let in only this system_id.
    #[arg(long)]
    system_id: Option<String>,
    /// Let in only this password.
    #[arg(long)]
    password: Option<String>,
    /// Scenario file (TOML): response_delay_ms, throttle_per_s, refuse_binds, [receipts], [[rules]].
    #[arg(long)]
    scenario: Option<PathBuf>,
    /// Delay of every answer in milliseconds; overrides the scenario.
    #[arg(long)]
    response_delay_ms: Option<u64>,
    /// Delay of every receipt in milliseconds; overrides the scenario.
    #[arg(long)]
    receipt_delay_ms: Option<u64>,
    /// Send no receipts; overrides the scenario.
    #[arg(long)]
    no_receipts: bool,
    /// ESME_RTHROTTLED above this many segments per second; overrides the scenario.
    #[arg(long)]
    throttle: Option<u32>,
    /// How message ids are written.
    #[arg(long, value_enum, default_value_t = IdText::Decimal)]
    ids: IdText,
}

#[derive(Clone, Copy, ValueEnum)]
enum IdText {
    Decimal,
    Hex,
    HexDecimal,
    HexPadded,
    Uuid,
}

#[derive(Args)]
struct EsmeArgs {
    /// Start a simulated carrier in this process and submit to it over loopback.
    #[arg(long, conflicts_with_all = ["host", "port"])]
    loopback: bool,
    /// Host of the SMSC.
    #[arg(long, default_value = "127.0.0.1")]
    host: String,
    /// Port of the SMSC.
    #[arg(long, default_value_t = 2775)]
    port: u16,
    #[arg(long, default_value = "mnara")]
    system_id: String,
    #[arg(long, default_value = "secret")]
    password: String,
    /// Transceiver binds.
    #[arg(long, default_value_t = 1)]
    binds: usize,
    /// Outstanding submit_sm per bind.
    #[arg(long, default_value_t = 100)]
    window: usize,
    /// submit_sm per second over all binds; a closed loop without it.
    #[arg(long)]
    rate: Option<f64>,
    #[arg(long, default_value_t = 100_000)]
    messages: u64,
    /// Stop after this many seconds.
    #[arg(long)]
    seconds: Option<u64>,
    /// Ask for receipts.
    #[arg(long)]
    receipts: bool,
    /// Print one JSON object.
    #[arg(long)]
    json: bool,
}

#[derive(Args)]
struct HttpArgs {
    /// host:port of the API.
    #[arg(long, default_value = "127.0.0.1:8080")]
    addr: String,
    /// API key; else MNARA_KEY from the environment, where other users do not see it.
    #[arg(long)]
    key: Option<String>,
    /// Keep-alive connections.
    #[arg(long, default_value_t = 128)]
    connections: usize,
    /// Requests per second; a closed loop without it.
    #[arg(long)]
    rate: Option<f64>,
    #[arg(long, default_value_t = 10_000)]
    messages: u64,
    /// Stop after this many seconds.
    #[arg(long)]
    seconds: Option<u64>,
    #[arg(long, default_value = "MNARA")]
    sender: String,
    /// otp, transactional or promotional.
    #[arg(long)]
    class: Option<String>,
    #[arg(long)]
    webhook_url: Option<String>,
    /// Print one JSON object.
    #[arg(long)]
    json: bool,
}

#[derive(Args)]
struct RunArgs {
    /// singles, singles-full, bulk, otp-under-backlog, fairness, throttle, failover, receipt-flood, receipt-dirt,
    /// slow-carrier, stored or pg-kill (which has a private PostgreSQL, whatever --store says).
    #[arg(value_parser = profile_by_name)]
    profile: Profile,
    /// Print one JSON object on the last line.
    #[arg(long)]
    json: bool,
    /// Keep-alive connections of a closed loop.
    #[arg(long)]
    connections: Option<usize>,
    /// Messages, or the backlog of profiles that have one.
    #[arg(long)]
    messages: Option<u64>,
    /// Stop sending after this many seconds; the length of a measured part.
    #[arg(long)]
    seconds: Option<u64>,
    /// Requests per second; a closed loop without it in singles.
    #[arg(long)]
    rate: Option<f64>,
    /// Segments per second that a simulated carrier takes.
    #[arg(long)]
    tps: Option<u32>,
    /// Simulated networks of singles, 1 to 8.
    #[arg(long)]
    networks: Option<usize>,
    /// Binds per network of singles.
    #[arg(long)]
    binds: Option<usize>,
    /// Window of each bind.
    #[arg(long)]
    window: Option<usize>,
    /// Messages of the warm-up.
    #[arg(long)]
    warm_up: Option<u64>,
    /// The daemon's store; both runs the profile on one after the other and compares.
    #[arg(long, value_enum, default_value_t = Stores::Sqlite)]
    store: Stores,
    /// PostgreSQL to make a database on; else DATABASE_URL; else a private server with its defaults.
    #[arg(long)]
    database_url: Option<String>,
    /// Messages that the store of stored holds before the run.
    #[arg(long)]
    rows: Option<u64>,
    /// How often pg-kill kills PostgreSQL.
    #[arg(long)]
    kills: Option<u32>,
    /// Take away what the profile is about: its checks must notice.
    #[arg(long)]
    sabotage: bool,
    /// The daemon's executable; else MNARA_BIN; else a release build.
    #[arg(long)]
    daemon: Option<PathBuf>,
    /// Empty folder for configuration, database and log, kept afterwards.
    #[arg(long)]
    dir: Option<PathBuf>,
}

#[derive(Clone, Copy, ValueEnum)]
enum Stores {
    Sqlite,
    Postgres,
    Both,
}

fn main() -> ExitCode {
    let command = Cli::parse().command;
    // One thread: it shares the processors with what it measures, and nothing here needs more.
    let runtime = match Builder::new_current_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => {
            eprintln!("mnara-loadtest: {error}");
            return ExitCode::from(70);
        }
    };
    let result = runtime.block_on(async {
        match command {
            Command::Smsc(args) => smsc(args).await.map(|()| true),
            Command::Esme(args) => esme(args).await,
            Command::Http(args) => http(args).await,
            Command::Run(args) => run(args).await,
        }
    });
    match result {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::from(1),
        Err(error) => {
            eprintln!("mnara-loadtest: {error:#}");
            ExitCode::from(2)
        }
    }
}

fn profile_by_name(name: &str) -> Result<Profile, String> {
    Profile::by_name(name).ok_or_else(|| {
        let known: Vec<_> = Profile::ALL.iter().map(|profile| profile.name()).collect();
        format!("known profiles: {}", known.join(", "))
    })
}

async fn smsc(args: SmscArgs) -> anyhow::Result<()> {
    let mut script = match &args.scenario {
        Some(path) => {
            let text = std::fs::read_to_string(path).with_context(|| path.display().to_string())?;
            toml::from_str(&text).with_context(|| path.display().to_string())?
        }
        None => Script::default(),
    };
    if let Some(ms) = args.response_delay_ms {
        script.response_delay_ms = Span::fixed(ms);
    }
    if let Some(ms) = args.receipt_delay_ms {
        script.receipts.delay_ms = Span::fixed(ms);
    }
    if args.no_receipts {
        script.receipts.mix.clear();
    }
    script.throttle_per_s = args.throttle.or(script.throttle_per_s);
    let id_style = match args.ids {
        IdText::Decimal => IdStyle::Decimal,
        IdText::Hex => IdStyle::Hex,
        IdText::HexDecimal => IdStyle::HexDecimal,
        IdText::HexPadded => IdStyle::HexPadded,
        IdText::Uuid => IdStyle::Uuid,
    };
    let mut smscs = Vec::new();
    for number in 0..args.count.max(1) {
        let port = if args.port == 0 {
            0
        } else {
            args.port.checked_add(number).context("no port left")?
        };
        let config = SmscConfig {
            port,
            system_id: args.system_id.clone(),
            password: args.password.clone(),
            id_style,
            script: script.clone(),
            seed: u64::from(number),
            ..SmscConfig::default()
        };
        let smsc = Smsc::start(config)
            .await
            .with_context(|| format!("port {port}"))?;
        println!("listening on {}", smsc.addr());
        smscs.push(smsc);
    }
    let mut ticks = interval(Duration::from_secs(1));
    let mut submits = 0;
    loop {
        // An interval keeps its state when dropped halfway; the signal ends the loop.
        tokio::select! {
            _ = tokio::signal::ctrl_c() => break,
            _ = ticks.tick() => {
                let now: u64 = smscs.iter().map(|smsc| smsc.stats().submits).sum();
                if now > submits {
                    let open: u64 = smscs.iter().map(|smsc| smsc.stats().binds_open).sum();
                    let receipts: u64 = smscs.iter().map(|smsc| smsc.stats().receipts_acknowledged).sum();
                    println!("binds {open}  submits {now} (+{})  receipts {receipts}", now - submits);
                }
                submits = now;
            }
        }
    }
    for smsc in smscs {
        smsc.shutdown().await;
    }
    Ok(())
}

async fn esme(args: EsmeArgs) -> anyhow::Result<bool> {
    let carrier = if args.loopback {
        Some(Smsc::start(SmscConfig::default()).await?)
    } else {
        None
    };
    let config = EsmeConfig {
        connect: Connect::new(
            args.host,
            carrier
                .as_ref()
                .map_or(args.port, |smsc| smsc.addr().port()),
        ),
        bind: Bind {
            kind: BindKind::Transceiver,
            system_id: args.system_id.into(),
            password: args.password.into(),
            ..Bind::default()
        },
        binds: args.binds,
        window: args.window,
        per_second: args.rate,
        messages: args.messages,
        time_limit: args.seconds.map(Duration::from_secs),
        registered_delivery: u8::from(args.receipts),
        sender: "MNARA".to_owned(),
        text: "load".to_owned(),
        networks: NETWORKS.to_vec(),
    };
    let report = esme::run(&config).await?;
    if let Some(smsc) = carrier {
        smsc.shutdown().await;
    }
    let statuses: serde_json::Map<_, _> = report
        .statuses
        .iter()
        .map(|(status, count)| (CommandStatus(*status).name().to_owned(), (*count).into()))
        .collect();
    let json = serde_json::json!({
        "submitted": report.submitted,
        "accepted": report.accepted,
        "unanswered": report.unanswered,
        "delivered": report.delivered,
        "binds_lost": report.binds_lost,
        "pairs_per_s": report.pairs_per_s().round(),
        "p50_us": report.latency.value_at_quantile(0.5),
        "p99_us": report.latency.value_at_quantile(0.99),
        "statuses": statuses,
    });
    print(args.json, &json);
    Ok(report.unanswered == 0 && report.accepted == report.submitted)
}

async fn http(args: HttpArgs) -> anyhow::Result<bool> {
    let addr = args
        .addr
        .to_socket_addrs()?
        .next()
        .ok_or_else(|| anyhow!("{} has no address", args.addr))?;
    over_zero(args.rate)?;
    let key = args
        .key
        .or_else(|| std::env::var("MNARA_KEY").ok())
        .context("no --key and no MNARA_KEY")?;
    let config = HttpConfig {
        addr,
        shape: RequestShape {
            host: args.addr,
            path: "/v1/sms/send".to_owned(),
            key,
            sender: args.sender,
            text: "load".to_owned(),
            class: args.class,
            webhook_url: args.webhook_url,
        },
        networks: NETWORKS.to_vec(),
        connections: args.connections,
        pace: args
            .rate
            .map_or(Pace::Closed, |per_second| Pace::Open { per_second }),
        first_marker: 0,
        messages: args.messages,
        time_limit: args.seconds.map(Duration::from_secs),
    };
    let report = http::run(&config, Arc::new(Ledger::new(0))).await?;
    let ms = |quantile| report.latency.value_at_quantile(quantile) as f64 / 1000.0;
    let json = serde_json::json!({
        "sent": report.sent,
        "accepted": report.accepted,
        "errors": report.errors,
        "first_error": report.first_error,
        "statuses": report.statuses,
        "accepted_per_s": (report.accepted as f64 / report.elapsed.as_secs_f64().max(1e-6)).round(),
        "p50_ms": ms(0.5),
        "p90_ms": ms(0.9),
        "p99_ms": ms(0.99),
        "p999_ms": ms(0.999),
        "max_ms": report.latency.max() as f64 / 1000.0,
    });
    print(args.json, &json);
    Ok(report.errors == 0 && report.accepted == report.sent)
}

async fn run(args: RunArgs) -> anyhow::Result<bool> {
    over_zero(args.rate)?;
    let options = Options {
        connections: args.connections,
        messages: args.messages,
        time_limit: args.seconds.map(Duration::from_secs),
        rate: args.rate,
        tps: args.tps,
        networks: args.networks,
        binds: args.binds,
        window: args.window,
        warm_up: args.warm_up,
        stores: match args.store {
            Stores::Sqlite => vec![StoreKind::Sqlite],
            Stores::Postgres => vec![StoreKind::Postgres],
            Stores::Both => vec![StoreKind::Sqlite, StoreKind::Postgres],
        },
        database_url: args
            .database_url
            .or_else(|| std::env::var("DATABASE_URL").ok())
            .filter(|url| !url.is_empty()),
        rows: args.rows,
        kills: args.kills,
        sabotage: args.sabotage,
        daemon: args.daemon,
        folder: args.dir,
    };
    let terminal = std::io::stderr().is_terminal();
    let progress = |line: &str| {
        if terminal {
            eprintln!("{line}");
        }
    };
    let sheet = profile::run(args.profile, &options, &progress).await?;
    if args.json {
        println!("{}", serde_json::to_string(&sheet)?);
    } else {
        print(false, &serde_json::to_value(&sheet)?);
    }
    Ok(sheet.ok)
}

fn over_zero(rate: Option<f64>) -> anyhow::Result<()> {
    if rate.is_some_and(|rate| rate <= 0.0) {
        bail!("the rate must be over 0");
    }
    Ok(())
}

/// One line of JSON, or one field a line for people.
fn print(json: bool, value: &serde_json::Value) {
    match value.as_object().filter(|_| !json) {
        Some(fields) => fields
            .iter()
            .for_each(|(name, value)| println!("{name:>26}  {value}")),
        None => println!("{value}"),
    }
}
