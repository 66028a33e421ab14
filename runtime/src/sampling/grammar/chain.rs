//! How deep a compiler recurses over things that refer to each other: rules, or parts of a schema.

/// The deepest chain that is compiled, in rules or parts and the brackets or parts between two of them. Grammars of
/// programming languages have a few hundred.
pub(super) const MAX_CHAIN: usize = 2048;

/// Things by their numbers, how deep each one is, and what it refers to.
#[derive(Debug, Default)]
pub(super) struct Graph {
    nodes: Vec<Node>,
}

#[derive(Debug, Default)]
struct Node {
    depth: usize,
    to: Vec<usize>,
}

/// What is known of a node while its cycle is looked for: its number in the order of the search, and the lowest one
/// that can be reached from it.
#[derive(Debug, Clone, Copy)]
struct Seen {
    order: usize,
    lowest: usize,
}

impl Graph {
    /// One more thing; its number.
    pub(super) fn add(&mut self) -> usize {
        self.nodes.push(Node::default());
        self.nodes.len() - 1
    }

    /// `node` is at least that deep itself.
    pub(super) fn deepen(&mut self, node: usize, depth: usize) {
        let known = &mut self.nodes[node].depth;
        *known = depth.max(*known);
    }

    /// `from` refers to `to`.
    pub(super) fn refer(&mut self, from: usize, to: usize) {
        self.nodes[from].to.push(to);
    }

    /// The depth of the deepest chain. No chain meets a thing twice, but in a cycle it may meet all, in an order that
    /// only the compiler knows; so a cycle counts as a whole.
    pub(super) fn deepest(&self) -> usize {
        let mut search = Search {
            graph: self,
            seen: vec![None; self.nodes.len()],
            depths: vec![None; self.nodes.len()],
            open: Vec::new(),
            n_seen: 0,
        };
        (0..self.nodes.len()).map(|node| search.visit(node)).max().unwrap_or(0)
    }
}

/// Tarjan's search for the cycles of a graph (<https://doi.org/10.1137/0201010>), which finds each one behind those
/// that it refers to.
struct Search<'a> {
    graph: &'a Graph,
    seen: Vec<Option<Seen>>,
    /// Depths of the chains from nodes whose cycle is known.
    depths: Vec<Option<usize>>,
    /// Nodes whose cycle is not known.
    open: Vec<usize>,
    n_seen: usize,
}

impl Search<'_> {
    /// Depth of the deepest chain from `root`.
    fn visit(&mut self, root: usize) -> usize {
        let mut path: Vec<(usize, usize)> = Vec::new();
        if self.seen[root].is_none() {
            path.push((root, self.enter(root)));
        }
        while let Some((node, next)) = path.last_mut() {
            let node = *node;
            let Some(&to) = self.graph.nodes[node].to.get(*next) else {
                path.pop();
                let lowest = self.leave(node);
                if let Some((parent, _)) = path.last() {
                    self.lower(*parent, lowest);
                }
                continue;
            };
            *next += 1;
            match self.seen[to] {
                None => path.push((to, self.enter(to))),
                Some(seen) if self.depths[to].is_none() => self.lower(node, seen.order),
                Some(_) => {}
            }
        }
        self.depths[root].unwrap_or(0)
    }

    /// Begins with a node; the first of its references.
    fn enter(&mut self, node: usize) -> usize {
        self.seen[node] = Some(Seen { order: self.n_seen, lowest: self.n_seen });
        self.n_seen += 1;
        self.open.push(node);
        0
    }

    fn lower(&mut self, node: usize, order: usize) {
        if let Some(seen) = &mut self.seen[node] {
            seen.lowest = seen.lowest.min(order);
        }
    }

    /// Ends with a node, and with its cycle if it was the first one of that; the lowest that it reaches.
    fn leave(&mut self, node: usize) -> usize {
        let Some(Seen { order, lowest }) = self.seen[node] else { return usize::MAX };
        if lowest < order {
            return lowest;
        }
        let first = self.open.iter().rposition(|&open| open == node).unwrap_or(0);
        let cycle = self.open.split_off(first);
        let own: usize = cycle.iter().map(|&node| self.graph.nodes[node].depth).sum();
        let behind = cycle.iter().flat_map(|&node| &self.graph.nodes[node].to);
        let behind = behind.filter_map(|&to| self.depths[to]).max().unwrap_or(0);
        for node in cycle {
            self.depths[node] = Some(own + behind);
        }
        lowest
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_deepest_chain_is_found() {
        let check = |depths: &[usize], references: &[(usize, usize)], expected: usize| {
            let mut graph = Graph::default();
            for depth in depths {
                let node = graph.add();
                graph.deepen(node, *depth);
            }
            for (from, to) in references {
                graph.refer(*from, *to);
            }
            assert_eq!(graph.deepest(), expected, "{references:?}");
        };
        check(&[], &[], 0);
        check(&[1, 5, 1], &[], 5);
        check(&[1, 1, 1], &[(2, 1), (1, 0)], 3);
        check(&[1, 1, 7, 1], &[(0, 1), (0, 2), (1, 3), (2, 3)], 9);
        check(&[2, 3], &[(0, 0), (0, 1)], 5);
        // A cycle counts as a whole, wherever it is entered, with what is before and behind it.
        check(&[1, 2, 3, 4, 5], &[(0, 1), (1, 2), (2, 1), (2, 3), (4, 4)], 10);
        check(&[1, 1, 1, 1], &[(0, 1), (1, 2), (2, 0), (1, 3), (3, 1)], 4);
        let long: Vec<_> = (0..100_000).map(|node| (node, node + 1)).collect();
        check(&vec![1; 100_001], &long, 100_001);
    }
}
