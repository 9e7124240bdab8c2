//! Lives here: whether bulk jobs have kept their promises: each text once, each job complete, purse and ledger exact.
//! Never here: load.

use serde::Deserialize;

use super::{JOBS, Plan, Posted};
use crate::{
    ledger::Notified,
    profile::{sheet::Sheet, stage::Stage},
};

/// Recipients accepted per second, over all jobs, at least.
const ACCEPTED_PER_S_MIN: f64 = 50_000.0;

/// Each text takes one segment, and a segment costs one credit where no price is set.
pub(super) const CREDITS_EACH: u64 = 1;

/// What the API says of a job.
#[derive(Clone, Debug, PartialEq, Deserialize)]
pub(super) struct Told {
    status: String,
    total_recipients: u64,
    sent_count: u64,
    progress_percent: f64,
    total_credits_cost: f64,
    pub(super) completed_at: Option<String>,
}

/// What was heard of a job, asked again and again.
#[derive(Default)]
pub(super) struct Followed {
    pub(super) last: Option<Told>,
    /// Its progress was less than it had been.
    went_back: bool,
}

impl Followed {
    pub(super) fn hear(&mut self, told: Told) {
        let before = self.last.as_ref().map_or(0.0, |last| last.progress_percent);
        self.went_back |= told.progress_percent < before;
        self.last = Some(told);
    }

    /// It is complete, and says so in every field.
    fn is_complete(&self, recipients: u64) -> bool {
        self.last.as_ref().is_some_and(|last| {
            last.status == "completed"
                && last.completed_at.is_some()
                && last.progress_percent == 100.0
                && (last.total_recipients, last.sent_count) == (recipients, recipients)
        })
    }
}

/// Each text once, at its number.
pub(super) fn judge_arrivals(sheet: &mut Sheet, stage: &Stage<'_>, plan: &Plan) {
    let ledger = &stage.ledger;
    let comparison = ledger.compare(plan.all(), false, |_| Notified::NOT_EXPECTED);
    let totals = ledger.totals();
    sheet.compared(&comparison);
    sheet.at_most("misdirected", totals.misdirected as f64, 0.0);
    sheet.at_most("unmarked", totals.unmarked as f64, 0.0);
    sheet.figure("accepted", comparison.accepted as f64);
}

pub(super) fn judge_posts(sheet: &mut Sheet, posted: &Posted, plan: &Plan) {
    let refused = posted.answers.iter().map(|(_, answer)| answer);
    let mut refused = refused.filter(|answer| answer.job().is_none());
    let accepted = JOBS - refused.clone().count() as u64;
    sheet.at_most("jobs_not_accepted", (JOBS - accepted) as f64, 0.0);
    if let Some(first) = refused.next() {
        let body = String::from_utf8_lossy(&first.body).into_owned();
        sheet.note("first_error", format!("{} {body}", first.status).into());
    }
    let took = posted
        .ended
        .saturating_duration_since(posted.started)
        .as_secs_f64();
    let per_s = (accepted * plan.each) as f64 / took;
    sheet.at_least("recipients_accepted_per_s", per_s, ACCEPTED_PER_S_MIN);
    sheet.figure("jobs", JOBS as f64);
    sheet.figure("recipients", plan.recipients() as f64);
    sheet.figure("accepting_s", took);
}

/// Every job complete at the end, its progress never less than before, its cost that of its recipients.
pub(super) fn judge_jobs(sheet: &mut Sheet, followed: &[Followed], plan: &Plan) {
    let wrong =
        |wrong: &dyn Fn(&Followed) -> bool| followed.iter().filter(|one| wrong(one)).count() as f64;
    let incomplete = wrong(&|one| !one.is_complete(plan.each));
    sheet.at_most("jobs_not_complete", incomplete, 0.0);
    sheet.at_most("jobs_gone_back", wrong(&|one| one.went_back), 0.0);
    let cost = (plan.each * CREDITS_EACH) as f64;
    let told = |one: &Followed| one.last.as_ref().map(|last| last.total_credits_cost);
    sheet.at_most(
        "jobs_of_another_cost",
        wrong(&|one| told(one) != Some(cost)),
        0.0,
    );
}

/// What `ctl credits show` says.
#[derive(Deserialize)]
pub(in crate::profile) struct Books {
    purses: Vec<Purse>,
    days: Vec<Day>,
    differences: Vec<serde_json::Value>,
}

#[derive(Deserialize)]
struct Purse {
    channel: String,
    balance: String,
    reserved: String,
    consumed: String,
}

#[derive(Deserialize)]
struct Day {
    channel: String,
    purchased: String,
    reserved: String,
    captured: String,
    refunded: String,
}

/// Not a number, which no check passes, for what is none.
fn number(text: &str) -> f64 {
    text.parse().unwrap_or(f64::NAN)
}

/// How far the purse, and the ledger's days together, are from what was bought and what it must have cost.
pub(super) fn judge_books(sheet: &mut Sheet, books: &Books, bought: u64, cost: u64) {
    let (bought, cost) = (bought as f64, cost as f64);
    let purse = books.purses.iter().find(|purse| purse.channel == "sms");
    let off = |of: fn(&Purse) -> &str, wanted: f64| {
        purse.map_or(f64::NAN, |purse| (number(of(purse)) - wanted).abs())
    };
    sheet.at_most(
        "balance_off",
        off(|purse| &purse.balance, bought - cost),
        0.0,
    );
    sheet.at_most("reserved_left", off(|purse| &purse.reserved, 0.0), 0.0);
    sheet.at_most("consumed_off", off(|purse| &purse.consumed, cost), 0.0);
    let days = || books.days.iter().filter(|day| day.channel == "sms");
    let sum = |of: fn(&Day) -> &str| days().map(|day| number(of(day))).sum::<f64>();
    let purchased = sum(|day| &day.purchased);
    let [reserved, captured, refunded] = [
        sum(|day| &day.reserved),
        sum(|day| &day.captured),
        sum(|day| &day.refunded),
    ];
    sheet.at_most("ledger_purchases_off", (purchased - bought).abs(), 0.0);
    sheet.at_most("ledger_captures_off", (captured - cost).abs(), 0.0);
    let left = (reserved - captured - refunded).abs();
    sheet.at_most("ledger_left_reserved", left, 0.0);
    sheet.at_most("differences", books.differences.len() as f64, 0.0);
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn told(status: &str, percent: f64) -> Told {
        Told {
            status: status.to_owned(),
            total_recipients: 10,
            sent_count: (percent / 10.0) as u64,
            progress_percent: percent,
            total_credits_cost: 10.0,
            completed_at: (percent == 100.0).then(String::new),
        }
    }

    #[test]
    fn a_job_is_complete_when_all_it_says_is_and_its_progress_never_falls() {
        let mut followed = Followed::default();
        for (status, percent) in [("queued", 0.0), ("processing", 40.0)] {
            followed.hear(told(status, percent));
            assert!(!followed.is_complete(10));
        }
        followed.hear(told("completed", 100.0));
        assert!(followed.is_complete(10) && !followed.is_complete(11) && !followed.went_back);
        followed.hear(told("processing", 90.0));
        assert!(followed.went_back && !followed.is_complete(10));
    }

    fn books(balance: &str, captured: &str) -> Books {
        let told = json!({
            "org": "bulk",
            "purses": [
                {"channel": "sms", "balance": balance, "reserved": "0", "consumed": "100"},
                {"channel": "email", "balance": "0", "reserved": "0", "consumed": "0"},
            ],
            "days": [
                {"channel": "sms", "purchased": "0", "reserved": "40", "captured": "60", "refunded": "10"},
                {"channel": "sms", "purchased": "107", "reserved": "70", "captured": captured, "refunded": "0"},
            ],
            "differences": [],
        });
        serde_json::from_value(told).unwrap()
    }

    #[test]
    fn purse_and_ledger_must_agree_to_the_thousandth() {
        for (balance, captured, wrong) in [
            ("7", "40", vec![]),
            ("7.001", "40", vec!["balance_off"]),
            (
                "7",
                "39.999",
                vec!["ledger_captures_off", "ledger_left_reserved"],
            ),
            ("?", "40", vec!["balance_off"]),
        ] {
            let mut sheet = Sheet::new("bulk");
            judge_books(&mut sheet, &books(balance, captured), 107, 100);
            let checks = sheet.checks.iter();
            let told: Vec<&str> = checks
                .filter(|check| !check.ok)
                .map(|check| check.name)
                .collect();
            assert_eq!(told, wrong);
        }
    }
}
