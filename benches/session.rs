//! Lives here: the cost of a submit_sm and its answer through both ends' sessions, without a socket.
//! Never here: single PDUs (`codec`), sockets (the loadtest crate's `esme --loopback`).

use std::hint::black_box;
use std::time::{Duration, Instant};

use bytes::Bytes;
use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use mnara_smpp::pdu::{Address, Bind, OctetStr, Pdu, SubmitSm, SubmitSmResp};
use mnara_smpp::session::{Action, Input, Session, SessionConfig};
use mnara_smpp::status::CommandStatus;

/// Two bound sessions and the octets between them.
struct Pair {
    esme: Session<u64>,
    smsc: Session<u64>,
    actions: Vec<Action<u64>>,
    asked: Vec<u32>,
    now: Instant,
    submit: Pdu,
    answer: Pdu,
}

impl Pair {
    fn bound(window: usize) -> Self {
        let now = Instant::now();
        let config = SessionConfig {
            window,
            ..SessionConfig::esme()
        };
        let submit = SubmitSm {
            source: Address::new(5, 0, "MNARA"),
            dest: Address::new(1, 1, "255753276939"),
            validity_period: "000001000000000R".into(),
            registered_delivery: 1,
            short_message: Bytes::from(vec![b'x'; 100]),
            ..SubmitSm::default()
        };
        let mut pair = Self {
            esme: Session::new(config, now),
            smsc: Session::new(SessionConfig::smsc(), now),
            actions: Vec::new(),
            asked: Vec::new(),
            now,
            submit: Pdu::SubmitSm(submit),
            answer: Pdu::SubmitSmResp(SubmitSmResp {
                message_id: OctetStr::from("0123456789"),
                tlvs: Default::default(),
            }),
        };
        let bind = Bind::default();
        pair.esme(Input::Bind(&bind));
        pair.reach_smsc();
        pair.smsc(Input::AnswerBind {
            sequence: 1,
            status: CommandStatus::ESME_ROK,
            system_id: &OctetStr::from("smsc"),
        });
        pair.reach_esme();
        pair.actions.clear();
        assert!(pair.esme.state().is_bound());
        pair
    }

    /// A window of submit_sm there, their answers back.
    fn round(&mut self, window: usize) {
        let submit = std::mem::replace(&mut self.submit, Pdu::EnquireLink);
        for token in 0..window as u64 {
            self.esme(Input::Request {
                pdu: black_box(&submit),
                token,
            });
        }
        self.submit = submit;
        self.reach_smsc();
        for action in self.actions.drain(..) {
            if let Action::Request { sequence, pdu, .. } = action {
                black_box(pdu);
                self.asked.push(sequence);
            }
        }
        let mut asked = std::mem::take(&mut self.asked);
        let answer = std::mem::replace(&mut self.answer, Pdu::EnquireLink);
        for sequence in asked.drain(..) {
            self.smsc(Input::Respond {
                sequence,
                status: CommandStatus::ESME_ROK,
                pdu: black_box(&answer),
            });
        }
        (self.asked, self.answer) = (asked, answer);
        self.reach_esme();
        assert_eq!(self.actions.len(), window);
        black_box(&self.actions);
        self.actions.clear();
    }

    fn esme(&mut self, input: Input<'_, u64>) {
        let taken = self.esme.handle(input, self.now, &mut self.actions);
        taken.expect("a bound session takes it");
    }

    fn smsc(&mut self, input: Input<'_, u64>) {
        let taken = self.smsc.handle(input, self.now, &mut self.actions);
        taken.expect("a bound session takes it");
    }

    fn reach_smsc(&mut self) {
        let octets = self.esme.output().split();
        self.smsc(Input::Received(&octets));
    }

    fn reach_esme(&mut self) {
        let octets = self.smsc.output().split();
        self.esme(Input::Received(&octets));
    }
}

fn session(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("session");
    for window in [1, 10, 100] {
        group.throughput(Throughput::Elements(window as u64));
        let name = format!("submit_sm and answer through both ends, window {window}");
        let mut pair = Pair::bound(window);
        group.bench_function(name, |bench| bench.iter(|| pair.round(window)));
    }
    group.finish();
}

criterion_group! {
    name = benches;
    config = Criterion::default()
        .measurement_time(Duration::from_secs(2))
        .warm_up_time(Duration::from_millis(500));
    targets = session
}
criterion_main!(benches);
