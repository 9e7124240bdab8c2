//! Lives here: the profile `bulk`: jobs of thousands of personalised recipients, posted at once by an organisation that
//! pays before it sends; drained to the simulators; the ledger added up. Never here: what other profiles share.

mod judge;

use std::{
    io,
    net::SocketAddr,
    ops::Range,
    time::{Duration, Instant},
};

use serde::{Deserialize, Serialize};
use tokio::{net::TcpStream, runtime::Builder, task::JoinSet};
use uuid::Uuid;

pub(super) use self::judge::Books;
use self::judge::{
    CREDITS_EACH, Followed, Told, judge_arrivals, judge_books, judge_jobs, judge_posts,
};
use super::{
    Options, ProfileError,
    files::Account,
    proc,
    sheet::Sheet,
    stage::{STALL_MAX, Setup, Site, Stage},
    traffic::Traffic,
};
use crate::{
    http,
    marker::{MARKER_LEN, write_marker},
    networks::{NETWORKS, Network},
    smsc::Script,
};

/// Jobs, all posted at once, each on a connection of its own.
const JOBS: u64 = 10;

/// Recipients of a job at most, by the API.
const RECIPIENTS_MAX: u64 = 10_000;

/// An answer may take this long.
const ANSWER_MAX: Duration = Duration::from_secs(60);

/// How often each job is asked how far it is.
const ASK_EVERY: Duration = Duration::from_millis(500);

/// Credits bought beyond what the jobs cost.
const SPARE: u64 = 7;

struct Plan {
    networks: Vec<Network>,
    /// Recipients of each job.
    each: u64,
    warm_up: u64,
    window: usize,
}

impl Plan {
    fn new(options: &Options) -> Self {
        let networks = options.networks.unwrap_or(NETWORKS.len());
        let messages = options.messages.unwrap_or(JOBS * RECIPIENTS_MAX);
        Self {
            networks: NETWORKS[..networks.clamp(1, NETWORKS.len())].to_vec(),
            each: (messages / JOBS).clamp(1, RECIPIENTS_MAX),
            warm_up: options.warm_up.unwrap_or(4_000),
            window: options.window.unwrap_or(200).max(1),
        }
    }

    fn recipients(&self) -> u64 {
        JOBS * self.each
    }

    /// The markers of a job, from 0.
    fn own(&self, job: u64) -> Range<u64> {
        let first = self.warm_up + job * self.each;
        first..first + self.each
    }

    fn all(&self) -> Range<u64> {
        self.warm_up..self.warm_up + self.recipients()
    }
}

pub(super) fn setup(options: &Options) -> Setup {
    let plan = Plan::new(options);
    let site = |network: &Network| {
        let account = Account::of(*network, plan.window);
        Site::new(account, Script::without_receipts())
    };
    Setup {
        sites: plan.networks.iter().map(site).collect(),
        markers: plan.all().end,
        limit: Duration::from_secs(900),
    }
}

pub(super) async fn drive(stage: &mut Stage<'_>, options: &Options) -> Result<Sheet, ProfileError> {
    let plan = Plan::new(options);
    let cost = plan.recipients() * CREDITS_EACH;
    // Sabotaged, it has not the credits for all jobs.
    let bought = if options.sabotage {
        cost / 2
    } else {
        cost + SPARE
    };
    let tenant = stage.prepaid("bulk", bought).await?;
    let warm = stage.tenant("warm-up").await?;
    let singles = Traffic::closed(
        &warm.key,
        "promotional",
        &plan.networks,
        0..plan.warm_up,
        64,
    );
    stage.warm_up(singles).await?;
    let requests = (0..JOBS).map(|job| {
        let body = body(job, plan.own(job), &plan.networks);
        http::request("POST", stage.api, "/v1/sms/bulk", Some(&tenant.key), &body)
    });
    let requests: Vec<Vec<u8>> = requests.collect();
    let octets: usize = requests.iter().map(Vec::len).sum();
    (stage.progress)(&format!("posting {JOBS} jobs of {} recipients", plan.each));

    let cpu = proc::cpu_ticks(stage.daemon.pid());
    let posted = post(stage.api, requests).await?;
    let mut jobs = Vec::new();
    for (job, answer) in &posted.answers {
        if let Some(id) = answer.job() {
            for marker in plan.own(*job) {
                stage.ledger.accept(marker, id, answer.at);
            }
            jobs.push(id);
        }
    }
    let followed = follow(stage, &tenant.key, jobs).await?;
    stage.quiet().await;
    let used = proc::cpu_ticks(stage.daemon.pid()).zip(cpu);
    let used = used.map(|(now, then)| (now - then) as f64 / proc::ticks_per_s() as f64);

    let mut sheet = Sheet::new("bulk");
    judge_arrivals(&mut sheet, stage, &plan);
    judge_posts(&mut sheet, &posted, &plan);
    judge_jobs(&mut sheet, &followed, &plan);
    judge_books(
        &mut sheet,
        &stage.daemon.credits(&tenant.org.id).await?,
        bought,
        cost,
    );
    let accepted = followed.len() as u64 * plan.each;
    let totals = stage.ledger.totals();
    let drained_us = totals
        .last_submit_us
        .saturating_sub(stage.ledger.micros(posted.started));
    let drained_s = drained_us as f64 / 1e6;
    sheet.figure("request_kib", octets as f64 / JOBS as f64 / 1024.0);
    sheet.figure("drained_s", drained_s);
    sheet.figure("submitted_per_s", accepted as f64 / drained_s);
    if let Some(used) = used {
        sheet.figure("daemon_cpu_s_per_10k", used * 1e4 / accepted.max(1) as f64);
    }
    sheet.figure("daemon_rss_mib", stage.memory.peak_mib());
    Ok(sheet)
}

#[derive(Serialize)]
struct Job<'a> {
    name: String,
    from: &'a str,
    message: &'a str,
    recipients: Vec<Recipient>,
}

#[derive(Serialize)]
struct Recipient {
    to: String,
    personalization: Personal,
}

#[derive(Serialize)]
struct Personal {
    name: String,
    code: String,
}

/// A job whose recipients have the numbers and the codes of these markers.
fn body(job: u64, markers: Range<u64>, networks: &[Network]) -> Vec<u8> {
    let recipients = markers.map(|marker| {
        let network = networks[(marker % networks.len() as u64) as usize];
        let mut code = [0; MARKER_LEN];
        write_marker(marker, &mut code);
        Recipient {
            to: network.number(marker),
            personalization: Personal {
                name: format!("Mteja {}", marker % 1_000),
                code: String::from_utf8_lossy(&code).into_owned(),
            },
        }
    });
    let job = Job {
        name: format!("load {job}"),
        from: "MNARA",
        message: "{{code}} Habari {{name}}, hii ndiyo namba yako ya majaribio.",
        recipients: recipients.collect(),
    };
    serde_json::to_vec(&job).expect("structs of strings always serialise")
}

/// What came of the posts.
struct Posted {
    started: Instant,
    /// Of the last answer.
    ended: Instant,
    /// By the job's number.
    answers: Vec<(u64, Answer)>,
}

struct Answer {
    at: Instant,
    status: u16,
    body: Vec<u8>,
}

impl Answer {
    /// The id of the job that was accepted.
    fn job(&self) -> Option<Uuid> {
        #[derive(Deserialize)]
        struct Told {
            data: Data,
        }
        #[derive(Deserialize)]
        struct Data {
            job_id: Uuid,
        }
        let told: Option<Told> = serde_json::from_slice(&self.body).ok();
        told.filter(|_| self.status == 202)
            .map(|told| told.data.job_id)
    }
}

/// Posts all of them at once, from a thread of its own.
async fn post(api: SocketAddr, requests: Vec<Vec<u8>>) -> Result<Posted, ProfileError> {
    let posting = async move {
        let mut streams = Vec::new();
        for _ in &requests {
            streams.push(TcpStream::connect(api).await?);
        }
        let started = Instant::now();
        let mut running = JoinSet::new();
        for ((mut stream, request), job) in streams.into_iter().zip(requests).zip(0..) {
            running.spawn(async move {
                let (status, body) = http::exchange(&mut stream, &request, ANSWER_MAX).await?;
                let at = Instant::now();
                io::Result::Ok((job, Answer { at, status, body }))
            });
        }
        let mut answers: Vec<(u64, Answer)> = Vec::new();
        while let Some(answer) = running.join_next().await {
            answers.push(answer.map_err(io::Error::other)??);
        }
        let ended = answers.iter().map(|(_, answer)| answer.at).max();
        io::Result::Ok(Posted {
            started,
            ended: ended.unwrap_or(started),
            answers,
        })
    };
    let posted = tokio::task::spawn_blocking(move || {
        let runtime = Builder::new_current_thread().enable_all().build()?;
        runtime.block_on(posting)
    });
    Ok(posted.await.map_err(io::Error::other)??)
}

/// Asks for the jobs until all are complete, as long as anything moves.
async fn follow(
    stage: &mut Stage<'_>,
    key: &str,
    jobs: Vec<Uuid>,
) -> Result<Vec<Followed>, ProfileError> {
    #[derive(Deserialize)]
    struct Answer {
        data: Told,
    }
    let mut stream = TcpStream::connect(stage.api).await?;
    let mut jobs: Vec<(Uuid, Followed)> = jobs
        .into_iter()
        .map(|id| (id, Followed::default()))
        .collect();
    let mut moved = Instant::now();
    let mut before = stage.reading();
    while moved.elapsed() < STALL_MAX {
        let mut open = 0;
        for (id, followed) in &mut jobs {
            let path = format!("/v1/sms/bulk/{id}");
            let request = http::request("GET", stage.api, &path, Some(key), b"");
            let (status, body) = http::exchange(&mut stream, &request, ANSWER_MAX).await?;
            if status != 200 {
                return Err(io::Error::other(format!("{path} answered {status}")).into());
            }
            let told = serde_json::from_slice::<Answer>(&body)?.data;
            if followed.last.as_ref() != Some(&told) {
                moved = Instant::now();
            }
            open += u64::from(told.completed_at.is_none());
            followed.hear(told);
        }
        if open == 0 {
            break;
        }
        let now = stage.reading();
        (stage.progress)(&format!(
            "{open} jobs open, {} submitted (+{})",
            now.totals.submitted,
            now.totals.submitted - before.totals.submitted
        ));
        before = now;
        stage.pause(ASK_EVERY).await?;
    }
    Ok(jobs.into_iter().map(|(_, followed)| followed).collect())
}

#[cfg(test)]
mod tests {
    use serde_json::json;
    use tokio::io::{AsyncReadExt, AsyncWriteExt};

    use super::*;

    #[test]
    fn each_recipient_has_a_number_and_a_code_of_its_own() {
        let body = body(3, 12_345_678..12_345_681, &NETWORKS[..2]);
        let job: serde_json::Value = serde_json::from_slice(&body).unwrap();
        assert_eq!(
            (&job["name"], &job["from"]),
            (&json!("load 3"), &json!("MNARA"))
        );
        assert!(job["message"].as_str().unwrap().starts_with("{{code}} "));
        let wanted = [
            ("+255752345678", "#012345678"),
            ("+255712345679", "#012345679"),
        ];
        for (recipient, (to, code)) in job["recipients"].as_array().unwrap().iter().zip(wanted) {
            assert_eq!(recipient["to"], to);
            assert_eq!(recipient["personalization"]["code"], code);
            assert!(recipient["personalization"]["name"].is_string());
        }
        assert_eq!(job["recipients"].as_array().unwrap().len(), 3);
    }

    #[test]
    fn only_a_202_with_a_job_counts() {
        let id = Uuid::from_u128(7);
        let answer = |status, body: serde_json::Value| Answer {
            at: Instant::now(),
            status,
            body: body.to_string().into(),
        };
        let good = json!({"success": true, "data": {"job_id": id, "status": "scheduled", "total_recipients": 2}});
        assert_eq!(answer(202, good.clone()).job(), Some(id));
        assert_eq!(answer(200, good).job(), None);
        assert_eq!(answer(202, json!({"success": true})).job(), None);
    }

    #[tokio::test]
    async fn each_job_is_posted_on_a_connection_of_its_own_and_its_answer_is_its_own() {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let api = listener.local_addr().unwrap();
        // A daemon that has taken all connections before it answers any, the last first.
        tokio::spawn(async move {
            let mut streams = Vec::new();
            for _ in 0..2 {
                streams.push(listener.accept().await.unwrap().0);
            }
            for mut stream in streams.into_iter().rev() {
                let mut request = [0; 512];
                let read = stream.read(&mut request).await.unwrap();
                let asked = String::from_utf8_lossy(&request[..read]).into_owned();
                let body = asked.rsplit("\r\n\r\n").next().unwrap().to_owned();
                let answer = format!(
                    "HTTP/1.1 202 Accepted\r\nContent-Length: {}\r\n\r\n{body}",
                    body.len()
                );
                stream.write_all(answer.as_bytes()).await.unwrap();
            }
        });
        let request = |id: u128| {
            let body = json!({"data": {"job_id": Uuid::from_u128(id)}}).to_string();
            http::request("POST", api, "/v1/sms/bulk", Some("sk"), body.as_bytes())
        };
        let posted = post(api, vec![request(1), request(2)]).await.unwrap();
        let mut jobs: Vec<_> = posted
            .answers
            .iter()
            .map(|(job, answer)| (*job, answer.job()))
            .collect();
        jobs.sort_unstable();
        assert_eq!(
            jobs,
            [(0, Some(Uuid::from_u128(1))), (1, Some(Uuid::from_u128(2)))]
        );
        assert!(posted.ended > posted.started);
    }

    #[test]
    fn the_jobs_share_the_markers_behind_the_warm_up() {
        let plan = Plan::new(&Options {
            messages: Some(200),
            ..Options::default()
        });
        assert_eq!(
            (plan.each, plan.own(0), plan.own(9)),
            (20, 4_000..4_020, 4_180..4_200)
        );
        assert_eq!(setup(&Options::default()).markers, 104_000);
    }
}
