//! A team for tests.

use super::Team;

/// A team whose helpers are started anew each time.
pub(crate) struct Fresh(pub(crate) usize);

impl Team for Fresh {
    fn size(&self) -> usize {
        self.0
    }

    fn run(&self, work: &(dyn Fn() + Sync)) {
        std::thread::scope(|scope| {
            for _ in 1..self.0 {
                scope.spawn(work);
            }
            work();
        });
    }
}
