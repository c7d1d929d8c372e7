//! The rules of one role, user or group, found by the topic.

use hashbrown::HashMap;

/// Number of a rule in [`super::Rules`].
pub(super) type RuleId = u32;

/// Up to so many rules are compared one by one; that is as fast as the tree and much smaller.
const FEW: usize = 4;

/// Rules by their filters.
#[derive(Debug, Clone)]
pub(super) enum Index {
    Few(Box<[RuleId]>),
    Tree(Tree),
}

/// A tree of topic levels. A filter that names the client hangs where its fixed levels end.
#[derive(Debug, Clone)]
pub(super) struct Tree {
    nodes: Vec<Node>,
}

#[derive(Debug, Clone, Default)]
struct Node {
    levels: HashMap<Box<str>, u32, foldhash::fast::FixedState>,
    plus: Option<u32>,
    /// Rules whose filters end here.
    exact: Vec<RuleId>,
    /// Rules whose filters end here with `#`.
    below: Vec<RuleId>,
    /// Rules whose next level names the client: to be compared as a whole.
    templates: Vec<RuleId>,
}

/// A rule that the index found, and whether its filter is still to be compared.
#[derive(Debug, Clone, Copy)]
pub(super) enum Found {
    Matches(RuleId),
    Compare(RuleId),
}

impl Index {
    pub(super) fn new(rules: &[(RuleId, &str)]) -> Self {
        if rules.len() <= FEW {
            return Self::Few(rules.iter().map(|&(id, _)| id).collect());
        }
        let mut tree = Tree { nodes: vec![Node::default()] };
        for &(id, filter) in rules {
            tree.insert(id, filter);
        }
        Self::Tree(tree)
    }

    /// Calls `found` with every rule that matches the topic or may do so.
    pub(super) fn find(&self, topic: &str, found: &mut impl FnMut(Found)) {
        match self {
            Self::Few(rules) => rules.iter().for_each(|&id| found(Found::Compare(id))),
            Self::Tree(tree) => {
                if topic.starts_with('$') {
                    tree.find_dollar(topic, found);
                } else {
                    tree.find(0, Some(topic), found);
                }
            }
        }
    }

    /// All rules.
    pub(super) fn all(&self, found: &mut impl FnMut(RuleId)) {
        match self {
            Self::Few(rules) => rules.iter().for_each(|&id| found(id)),
            Self::Tree(tree) => {
                for node in &tree.nodes {
                    let lists = [&node.exact, &node.below, &node.templates];
                    lists.into_iter().flatten().for_each(|&id| found(id));
                }
            }
        }
    }
}

impl Tree {
    fn insert(&mut self, id: RuleId, filter: &str) {
        let mut at = 0;
        for level in filter.split('/') {
            if level == "#" {
                self.nodes[at].below.push(id);
                return;
            }
            if super::filter::is_template(level) {
                self.nodes[at].templates.push(id);
                return;
            }
            at = self.child(at, level);
        }
        self.nodes[at].exact.push(id);
    }

    fn child(&mut self, at: usize, level: &str) -> usize {
        let next = u32::try_from(self.nodes.len()).unwrap_or(u32::MAX);
        let node = &mut self.nodes[at];
        let child = if level == "+" {
            *node.plus.get_or_insert(next)
        } else {
            *node.levels.entry_ref(level).or_insert(next)
        };
        if child == next {
            self.nodes.push(Node::default());
        }
        child as usize
    }

    /// Depth is bounded by that of the filters, and each node is visited once at most.
    fn find(&self, at: u32, rest: Option<&str>, found: &mut impl FnMut(Found)) {
        let Some(node) = self.nodes.get(at as usize) else { return };
        node.below.iter().for_each(|&id| found(Found::Matches(id)));
        node.templates.iter().for_each(|&id| found(Found::Compare(id)));
        let Some(rest) = rest else {
            node.exact.iter().for_each(|&id| found(Found::Matches(id)));
            return;
        };
        let (level, rest) = split(rest);
        if let Some(&child) = node.levels.get(level) {
            self.find(child, rest, found);
        }
        if let Some(child) = node.plus {
            self.find(child, rest, found);
        }
    }

    /// A topic that begins with `$` is not for filters that begin otherwise.
    fn find_dollar(&self, topic: &str, found: &mut impl FnMut(Found)) {
        let Some(root) = self.nodes.first() else { return };
        // These compare the `$` themselves.
        root.templates.iter().for_each(|&id| found(Found::Compare(id)));
        let (level, rest) = split(topic);
        if let Some(&child) = root.levels.get(level) {
            self.find(child, rest, found);
        }
    }
}

fn split(rest: &str) -> (&str, Option<&str>) {
    match rest.split_once('/') {
        Some((level, rest)) => (level, Some(rest)),
        None => (rest, None),
    }
}
