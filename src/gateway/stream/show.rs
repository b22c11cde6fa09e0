//! Events on their way out: changed where texts were, with notices beside the first words and the last.

use bytes::Bytes;
use serde_json::Map;

use super::{
    super::answer,
    Flow,
    queue::{Part, Queued},
};
use crate::{
    dialect::{lens, moderation, sse},
    guard::reply::{BLANK_LINE, place_notice},
    verdict::NoticeAt,
};

impl Flow {
    pub(super) fn show(&mut self, mut queued: Queued, shown: &mut Vec<Bytes>) {
        let parts = std::mem::take(&mut queued.parts);
        let mut new: Vec<String> =
            parts.iter().map(|part| if part.again { String::new() } else { self.show_part(part) }).collect();
        let ends = if queued.last { (0..self.queue.tracks()).collect() } else { queued.ends };
        for track in ends {
            let text = self.queue.text(track);
            let Some(more) = self.end_of(track) else { continue };
            // Behind what this event says of the text, and before its end.
            match parts.iter().rposition(|part| part.text == text && !part.again) {
                Some(i) => new[i].push_str(&more),
                None => shown.push(self.reader.append(track, &more)),
            }
        }
        let mut changed = false;
        for (part, new) in parts.iter().zip(new) {
            let text = self.windows.text(part.text);
            let (old, new) = if part.again {
                (text, self.windows.said(part.text))
            } else {
                (&text[part.from..part.to], &*new)
            };
            if new != old
                && let Some(json) = &mut queued.json
            {
                changed = true;
                lens::write(json, &part.pointer, new.to_owned());
            }
        }
        for (track, pointer) in &queued.signed {
            if self.windows.is_edited(self.queue.text(*track))
                && let Some(json) = &mut queued.json
            {
                changed = true;
                lens::write(json, pointer, String::new());
            }
        }
        if queued.last {
            self.finish("done");
            shown.extend(self.attached());
        }
        if let Some(json) = &mut queued.json {
            if changed {
                queued.spelled.iter().for_each(|pointer| lens::forget(json, pointer));
            }
            if self.reader.fit(json) || changed {
                queued.event.raw = sse::named(&queued.event.name, &json.to_string());
            }
            self.reader.shown(json);
        }
        // A comment keeps the connection alive.
        self.begun |= queued.event.data.is_none();
        shown.extend(Some(queued.event.raw).filter(|raw| !raw.is_empty()));
        shown.extend(queued.ours);
    }

    /// A part as it is shown, with the notice that stands before the first words.
    fn show_part(&mut self, part: &Part) -> String {
        let new = self.windows.show(part.text, part.to);
        self.begun |= !new.is_empty();
        if new.is_empty() || !self.queue.is_first_words(part.text) {
            return new;
        }
        let before = self.notices.iter().filter(|(_, at)| *at == NoticeAt::Before);
        let with =
            before.fold(new.clone(), |text, (notice, _)| place_notice(&text, notice, NoticeAt::Before));
        self.windows.add_before(part.text, &with[..with.len() - new.len()]);
        with
    }

    /// What is still to be said of a text that ends now: what was held of an original, and notices.
    fn end_of(&mut self, track: usize) -> Option<String> {
        if !self.queue.end(track) {
            return None;
        }
        let text = self.queue.text(track);
        let mut more = self.windows.rest(text);
        let closes = match self.reader.closing() {
            Some(closing) => closing == track,
            None => self.reader.tracks()[track].visible && !self.windows.said(text).is_empty(),
        };
        if closes {
            let notices = self.notices_after();
            for notice in notices {
                more.push_str(BLANK_LINE);
                more.push_str(&notice);
            }
        }
        self.windows.add(text, &more);
        Some(more).filter(|more| !more.is_empty())
    }

    /// Notices that stand behind the answer; what its own verdict asks for comes too late to stand before it.
    fn notices_after(&self) -> Vec<String> {
        let of_answer = self
            .output
            .as_ref()
            .map(|output| answer::notices(output, &self.turn.replies, self.turn.region.as_deref()));
        let known = |notice: &String| self.notices.iter().any(|(known, _)| known == notice);
        let after =
            self.notices.iter().filter(|(_, at)| *at == NoticeAt::After).map(|(notice, _)| notice.clone());
        let new = of_answer.into_iter().flatten().map(|(notice, _)| notice).filter(|notice| !known(notice));
        after.chain(new).collect()
    }

    /// The members of Demur's own that go along with the end.
    pub(super) fn attached(&mut self) -> Option<Bytes> {
        let mut members = Map::new();
        if self.turn.request.asked().wants_moderation {
            let block =
                moderation::block(&self.input.verdict, self.output.as_ref().map(|judged| &judged.verdict));
            members.insert("moderation".to_owned(), block);
        }
        if self.settings.verdict_in_body {
            let block = answer::verdict_block(&self.input, self.output.as_ref());
            members.insert("demur".to_owned(), block);
        }
        if members.is_empty() { None } else { self.reader.attach(&members) }
    }
}
