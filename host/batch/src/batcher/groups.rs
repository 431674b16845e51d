//! All groups, found by free dims or by name.

use std::collections::{BTreeMap, HashMap};

use crate::batcher::estimate::Estimate;
use crate::batcher::group::{Group, GroupId, Waiting};
use crate::batcher::pace::Pace;
use crate::call::{FreeDims, Ticket};

/// How far it pays to join calls, as one batcher has learnt it: with that another batcher of the same model begins.
///
/// If the model has changed, it is learnt anew.
#[derive(Clone, Debug, Default)]
pub struct Experience(Vec<(FreeDims, Pace)>);

/// How many groups without calls are kept for what they have learnt.
pub(crate) const MAX_IDLE_GROUPS: usize = 64;

/// The groups of one batcher: those with calls, and the last idle ones.
#[derive(Debug)]
pub(crate) struct Groups<C> {
    ids: HashMap<FreeDims, GroupId>,
    all: BTreeMap<GroupId, Group<C>>,
    entered: u64,
}

impl<C> Groups<C> {
    pub(crate) fn new() -> Self {
        Self {
            ids: HashMap::new(),
            all: BTreeMap::new(),
            entered: 0,
        }
    }

    /// Returns the group for a call that enters, made if there is none.
    pub(crate) fn enter(&mut self, free_dims: FreeDims) -> (GroupId, &mut Group<C>) {
        self.entered += 1;
        let id = match self.ids.get(&free_dims) {
            Some(&id) => id,
            None => {
                self.forget_idle();
                let id = GroupId(self.entered);
                self.ids.insert(free_dims.clone(), id);
                id
            }
        };
        let group = self.all.entry(id).or_insert_with(|| Group {
            free_dims,
            waiting: BTreeMap::new(),
            estimate: Estimate::default(),
            pace: Pace::default(),
            running: 0,
            entered: 0,
        });
        group.entered = self.entered;
        (id, group)
    }

    /// Returns the group of calls with these sizes, if there is one.
    pub(crate) fn of(&self, free_dims: &FreeDims) -> Option<&Group<C>> {
        self.all.get(self.ids.get(free_dims)?)
    }

    pub(crate) fn len(&self) -> usize {
        self.all.len()
    }

    pub(crate) fn experience(&self) -> Experience {
        let groups = self.all.values();
        let paces = groups.map(|group| (group.free_dims.clone(), group.pace.clone()));
        Experience(paces.collect())
    }

    pub(crate) fn begin_with(&mut self, experience: Experience) {
        for (free_dims, pace) in experience.0 {
            self.enter(free_dims).1.pace = pace;
        }
    }

    pub(crate) fn group(&mut self, id: GroupId) -> Option<&mut Group<C>> {
        self.all.get_mut(&id)
    }

    /// Returns a call, if it waits.
    pub(crate) fn waiting(&self, ticket: Ticket) -> Option<&Waiting<C>> {
        self.all.get(&ticket.group)?.waiting.get(&ticket.place)
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = (GroupId, &Group<C>)> {
        self.all.iter().map(|(&id, group)| (id, group))
    }

    pub(crate) fn iter_mut(&mut self) -> impl Iterator<Item = &mut Group<C>> {
        self.all.values_mut()
    }

    /// Makes room for one more idle group. Takes as long as there are groups.
    fn forget_idle(&mut self) {
        let idle = || self.all.iter().filter(|(_, group)| group.is_idle());
        if idle().count() < MAX_IDLE_GROUPS {
            return;
        }
        let oldest = idle().min_by_key(|(_, group)| group.entered);
        if let Some(group) = oldest
            .map(|(&id, _)| id)
            .and_then(|id| self.all.remove(&id))
        {
            self.ids.remove(&group.free_dims);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn forgets_the_group_that_was_idle_longest() {
        let mut groups = Groups::<()>::new();
        let limit = u32::try_from(MAX_IDLE_GROUPS).unwrap();
        let first = groups.enter(FreeDims::new(vec![0])).0;
        let ids: Vec<GroupId> = (1..limit)
            .map(|dim| groups.enter(FreeDims::new(vec![dim])).0)
            .collect();
        groups.enter(FreeDims::new(vec![0]));
        assert_eq!(groups.iter().count(), MAX_IDLE_GROUPS);

        groups.enter(FreeDims::new(vec![limit]));
        assert_eq!(
            groups.iter().count(),
            MAX_IDLE_GROUPS,
            "one more is one less"
        );
        assert!(groups.group(first).is_some(), "it was used again");
        assert!(groups.group(ids[0]).is_none());
        assert_ne!(
            groups.enter(FreeDims::new(vec![1])).0,
            ids[0],
            "a name is used once"
        );
    }

    #[test]
    fn never_forgets_a_group_that_runs() {
        let mut groups = Groups::<()>::new();
        let running = groups.enter(FreeDims::default()).0;
        groups.group(running).unwrap().running = 1;
        for dim in 0..200 {
            groups.enter(FreeDims::new(vec![dim]));
        }
        assert_eq!(groups.iter().count(), MAX_IDLE_GROUPS + 1);
        assert!(groups.group(running).is_some());
    }
}
