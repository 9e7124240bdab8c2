//! Lives here: the profile `receipt-dirt`: four carriers whose receipts come early, twice, against each other, for
//! unknown ids, over another bind, with ids in another notation than the responses'. Never here: what other profiles
//! share.

use std::time::Duration;

use super::{
    Options, ProfileError,
    files::{Account, Bind},
    sheet::Sheet,
    stage::{Setup, Site, Stage},
    traffic::Traffic,
};
use crate::{
    ledger::{Entry, Notified},
    networks::{NETWORKS, Network},
    smsc::{IdStyle, ReceiptForm, Receipts, Rule, Script, Span, Stat, Then, When},
};

/// One carrier for each dialect. Marker m goes to network m modulo 4.
const CARRIERS: [Network; 4] = [NETWORKS[0], NETWORKS[1], NETWORKS[4], NETWORKS[5]];

/// Numbers that end so are not reached; the marker's last digit is the number's.
const UNREACHED: u64 = 7;

/// Messages whose state is the true receipt's.
const MATCHED_MIN: f64 = 0.9999;

/// The last receipts have this long after the last message.
const SETTLE_MAX: Duration = Duration::from_secs(60);

struct Plan {
    messages: u64,
    rate: f64,
}

impl Plan {
    fn new(options: &Options) -> Self {
        Self {
            messages: options.messages.unwrap_or(40_000),
            rate: options.rate.unwrap_or(1_000.0),
        }
    }
}

/// How a carrier writes its ids, with the rules that bring both notations together.
const DIALECTS: [(IdStyle, &str, &str); 4] = [
    (IdStyle::HexDecimal, "hex-to-decimal", "decimal"),
    (IdStyle::HexPadded, "fold-hex", "fold-hex"),
    (IdStyle::Uuid, "fold-case", "fold-case"),
    (IdStyle::Decimal, "raw", "raw"),
];

fn script(index: usize) -> Script {
    let unreached = When {
        dest_suffix: Some(UNREACHED.to_string()),
        ..When::default()
    };
    Script {
        response_delay_ms: Span::between(0, 10),
        rules: vec![Rule::when(unreached, Then::Receipt(Stat::Undeliv))],
        receipts: Receipts {
            delay_ms: Span::between(0, 200),
            before_response: index.is_multiple_of(2),
            duplicate: index != 1,
            contradict: index != 2,
            intermediate: vec![Stat::Enroute; index],
            stray: 0.05,
            form: [ReceiptForm::Text, ReceiptForm::Both, ReceiptForm::Tlv][index % 3],
            ..Receipts::default()
        },
        ..Script::default()
    }
}

pub(super) fn setup(options: &Options) -> Setup {
    let plan = Plan::new(options);
    let window = options.window.unwrap_or(50);
    let site = |(index, network): (usize, &Network)| {
        let (id_style, response_ids, receipt_ids) = DIALECTS[index];
        let mut account = Account::of(*network, window);
        if !options.sabotage {
            (account.response_ids, account.receipt_ids) = (response_ids, receipt_ids);
        }
        if index % 2 == 1 {
            // What the transmitter submits has its receipt on another bind.
            account.bind = vec![
                Bind::new("transmitter", window),
                Bind::new("transceiver", window),
                Bind::new("receiver", window),
            ];
        }
        Site {
            id_style,
            ..Site::new(account, script(index))
        }
    };
    Setup {
        sites: CARRIERS.iter().enumerate().map(site).collect(),
        markers: plan.messages,
        limit: SETTLE_MAX + Duration::from_secs_f64(120.0 + 4.0 * plan.messages as f64 / plan.rate),
    }
}

pub(super) async fn drive(stage: &mut Stage<'_>, options: &Options) -> Result<Sheet, ProfileError> {
    let plan = Plan::new(options);
    let key = stage.tenant("shop").await?.key;
    let traffic = Traffic::open(
        &key,
        "transactional",
        &CARRIERS,
        0..plan.messages,
        plan.rate,
    );
    let sent = stage.sent(traffic).await?;
    stage
        .drained(|now| now.totals.receipted >= sent.accepted)
        .await?;
    let deadline = stage.now_us() + SETTLE_MAX.as_micros() as u64;
    while stage.smscs.iter().any(|smsc| smsc.receipts_waiting() > 0) && stage.now_us() < deadline {
        stage.pause(Duration::from_millis(20)).await?;
    }
    stage.quiet().await;

    // Only messages whose true receipt the daemon has acknowledged can be asked after.
    let true_ones = stage
        .ledger
        .entries(0..plan.messages)
        .filter(|entry| entry.receipts > 0);
    let true_ones: Vec<Entry> = true_ones.collect();
    let ids: Vec<_> = true_ones.iter().map(|entry| entry.id).collect();
    let told = stage.told(&key, &ids).await?;
    let right = |entry: &&Entry| {
        let unreached = entry.marker % 10 == UNREACHED;
        let state = if unreached {
            "undelivered"
        } else {
            "delivered"
        };
        told.get(&entry.id)
            .is_some_and(|told| told.status_detail == state)
    };
    let mut sheet = Sheet::new("receipt-dirt");
    let comparison = stage
        .ledger
        .compare(0..u64::MAX, true, |_| Notified::NOT_EXPECTED);
    sheet.nothing_lost(&comparison, &[&sent]);
    for (index, name) in ["hex_decimal", "hex_padded", "uuid", "decimal"]
        .into_iter()
        .enumerate()
    {
        let own = || {
            true_ones
                .iter()
                .filter(|entry| entry.marker as usize % 4 == index)
        };
        let share = own().filter(right).count() as f64 / own().count() as f64;
        sheet.figure(&format!("matched_{name}"), share);
    }
    let matched = true_ones.iter().filter(right).count();
    let share = matched as f64 / true_ones.len() as f64;
    sheet.at_least("matched", share, MATCHED_MIN);
    sheet.figure("unmatched", (true_ones.len() - matched) as f64);
    sheet.figure("true_receipts", true_ones.len() as f64);
    let stats = || stage.smscs.iter().map(|smsc| smsc.stats());
    let receipts: u64 = stats().map(|stats| stats.receipts_sent).sum();
    sheet.figure("receipts", receipts as f64);
    let lost: u64 = stats().map(|stats| stats.receipts_lost).sum();
    sheet.at_most("receipts_refused_for_good", lost as f64, 0.0);
    Ok(sheet)
}
