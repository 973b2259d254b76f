//! The view of the node for those who look at it: made when one is asked for, and kept up to date while somebody waits for
//! a change. With thousands of zones it costs too much to be made for nobody.

use std::sync::Arc;

use tokio::sync::{mpsc, oneshot, watch};

use crate::node::View;

/// Where a view goes that somebody asked for.
pub type ViewReply = oneshot::Sender<Arc<View>>;

/// The way to the view.
#[derive(Clone, Debug)]
pub struct Views {
    newest: watch::Sender<Arc<View>>,
    wishes: mpsc::Sender<ViewReply>,
}

impl Views {
    /// Of one that has the newest view put into `newest`: while anybody is subscribed to it, within some time of every change, and
    /// whenever a wish is answered.
    pub fn new(newest: watch::Sender<Arc<View>>, wishes: mpsc::Sender<ViewReply>) -> Views {
        Views { newest, wishes }
    }

    /// The last that was made.
    pub fn last(&self) -> Arc<View> {
        Arc::clone(&self.newest.borrow())
    }

    /// The node as it is: what was answered or acknowledged before this is asked is in it. Of one that has ended, the last that was
    /// made.
    pub async fn now(&self) -> Arc<View> {
        let (reply, view) = oneshot::channel();
        if self.wishes.send(reply).await.is_err() {
            return self.last();
        }
        view.await.unwrap_or_else(|_| self.last())
    }

    /// Waits until the node is seen so; for ever, if it has ended.
    pub async fn wait_for(&self, mut is_so: impl FnMut(&View) -> bool) {
        let mut seen = self.newest.subscribe();
        // Whoever makes views may be waiting for something to happen; a wish is that.
        self.now().await;
        // No error: a sender is held here.
        let _ = seen.wait_for(|view| is_so(view)).await;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn view(at_ms: u64) -> Arc<View> {
        let gossip = ([127, 0, 0, 1], 1).into();
        let [name, cluster] = ["a", "home"].map(str::to_owned);
        let (actor, members, zones) = (None, Vec::new(), Vec::new());
        Arc::new(View {
            name,
            cluster,
            gossip,
            generation: 0,
            actor,
            initialised: true,
            synced: true,
            at_ms,
            members,
            zones,
        })
    }

    /// The way to a view, with the ends of whoever makes it.
    fn views() -> (Views, watch::Sender<Arc<View>>, mpsc::Receiver<ViewReply>) {
        let (newest, (wishes_in, wishes)) = (watch::Sender::new(view(0)), mpsc::channel(1));
        (Views::new(newest.clone(), wishes_in), newest, wishes)
    }

    #[tokio::test]
    async fn whoever_waits_is_subscribed_before_the_wish_and_no_longer_than_it_waits() {
        let (views, newest, mut wishes) = views();
        let waiting = {
            let views = views.clone();
            tokio::spawn(async move { views.wait_for(|view| view.at_ms == 2).await })
        };
        let wish: ViewReply = wishes.recv().await.expect("a wish");
        assert_eq!(newest.receiver_count(), 1);
        wish.send(view(1)).expect("somebody waits");
        newest.send_replace(view(2));
        waiting.await.expect("it ends");
        assert_eq!(newest.receiver_count(), 0);
    }

    #[tokio::test]
    async fn of_a_node_that_has_ended_the_last_view_is_shown() {
        let (views, newest, mut wishes) = views();
        let asked = {
            let views = views.clone();
            tokio::spawn(async move { views.now().await.at_ms })
        };
        drop(wishes.recv().await.expect("a wish"));
        assert_eq!(asked.await.expect("it ends"), 0, "it ended before it answered");
        drop(wishes);
        newest.send_replace(view(1));
        assert_eq!((views.now().await.at_ms, views.last().at_ms), (1, 1));
    }
}
