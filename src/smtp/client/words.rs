//! The machine's words in those of the queue, which it does not know.

use crate::base::Enhanced;
use crate::queue;
use crate::smtp::machine::client::{Stage, Verdict, Words};

impl From<Words> for queue::Words {
    fn from(words: Words) -> Self {
        let enhanced = words.enhanced.map(|Enhanced(class, subject, detail)| (class, subject, detail));
        Self { code: words.code, enhanced, text: words.text }
    }
}

impl From<Stage> for queue::Stage {
    fn from(stage: Stage) -> Self {
        match stage {
            Stage::Greeting => Self::Greeting,
            Stage::Hello => Self::Hello,
            Stage::Tls => Self::Tls,
            Stage::Login => Self::Login,
            Stage::Sender => Self::Sender,
            Stage::Recipient => Self::Recipient,
            Stage::Data => Self::Data,
            Stage::End => Self::End,
        }
    }
}

impl From<Verdict> for queue::Verdict {
    fn from(verdict: Verdict) -> Self {
        match verdict {
            Verdict::Delivered => Self::Delivered,
            Verdict::Deferred => Self::Deferred,
            Verdict::Failed => Self::Failed,
        }
    }
}
