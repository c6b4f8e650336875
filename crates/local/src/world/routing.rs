//! To whom a request would go: the same rules, weights and health states as in the live balancer, without the dice.

use std::net::{IpAddr, Ipv4Addr};
use std::sync::Arc;

use arya_plan::identity::Place;
use arya_plan::listener::matching::{RequestFacts, first_match, group_parts};
use arya_plan::listener::{Action, GroupId, Rule};

use super::state::{Machine, Member, State};
use crate::balancer::alb::{InitialReason, TargetState, UnusedReason, receivers};

/// A request, who sends it, and which part of the load balancer answers.
#[derive(Debug, Clone, Copy)]
pub struct Visit<'v> {
    pub request: RequestFacts<'v>,
    /// The group that the client's stickiness cookie names.
    pub cookie: Option<&'v GroupId>,
    pub node: Node,
}

impl<'v> Visit<'v> {
    /// Somebody gets a path from a node that knows the newest rules.
    pub const fn get(path: &'v str) -> Self {
        let request = RequestFacts {
            method: "GET",
            host: "shop.example",
            path,
            query: "",
            headers: &[],
            source_ip: IpAddr::V4(Ipv4Addr::new(192, 0, 2, 1)),
        };
        Self {
            request,
            cookie: None,
            node: Node::First,
        }
    }

    #[must_use]
    pub const fn at(self, node: Node) -> Self {
        Self { node, ..self }
    }
}

/// A node of the load balancer: rule changes reach them one by one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Node {
    /// It has the newest rules.
    First,
    /// It is as late as a node can be.
    Slowest,
}

impl Node {
    pub const ALL: [Self; 2] = [Self::First, Self::Slowest];
}

/// A part of many such requests, and where it goes.
#[derive(Debug, Clone, PartialEq)]
pub struct Part {
    /// 0 to 1; the parts of a request add up to 1.
    pub share: f64,
    pub to: To,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub enum To {
    Target {
        group: GroupId,
        instance: String,
        /// `None` = production's.
        place: Option<(Place, u32)>,
        /// Whether it answers well right now, whatever the load balancer believes.
        answers: bool,
    },
    /// A group without anybody to ask: 503.
    Nobody { group: GroupId },
    /// The rule answers by itself.
    Rule { status: u16 },
    /// No listener, no group with a weight, or a login that nobody passes here.
    Nowhere,
}

impl Part {
    /// Whether users in this part get what they came for.
    pub const fn is_served(&self) -> bool {
        match self.to {
            To::Target { answers, .. } => answers,
            To::Rule { status } => status < 500,
            To::Nobody { .. } | To::Nowhere => false,
        }
    }

    /// Whether it goes to an instance of ours.
    pub const fn is_ours(&self) -> bool {
        matches!(self.to, To::Target { place: Some(_), .. })
    }
}

impl State {
    pub(super) fn shares(&self, visit: &Visit<'_>) -> Vec<Part> {
        let whole = |to| vec![Part { share: 1.0, to }];
        let rules = self.rules_at(visit.node);
        let found = self.listener.as_ref().and_then(|_| first_match(rules, &visit.request));
        let Some(rule) = found else {
            return whole(To::Nowhere);
        };
        match rule.actions.last() {
            Some(Action::Forward(forward)) => {
                let groups = group_parts(forward, visit.cookie);
                if groups.is_empty() {
                    return whole(To::Nowhere);
                }
                let mut parts = Vec::with_capacity(groups.len());
                for (group, share) in groups {
                    self.share_out(group, share, visit.node, &mut parts);
                }
                parts
            }
            Some(Action::FixedResponse { status, .. }) => whole(To::Rule { status: *status }),
            Some(Action::Redirect { .. }) => whole(To::Rule { status: 302 }),
            Some(
                Action::AuthenticateCognito { .. } | Action::AuthenticateOidc { .. } | Action::JwtValidation { .. },
            )
            | None => whole(To::Nowhere),
        }
    }

    fn rules_at(&self, node: Node) -> &Arc<Vec<Rule>> {
        let newest = self.rules();
        match node {
            Node::First => newest,
            Node::Slowest => {
                let late = self.earlier_rules.iter().find(|(until, _)| *until > self.age);
                late.map_or(newest, |(_, rules)| rules)
            }
        }
    }

    fn share_out(&self, id: &GroupId, share: f64, node: Node, parts: &mut Vec<Part>) {
        let members = self.groups.get(id).map_or(&[][..], |group| &group.members);
        let states: Vec<TargetState> = members.iter().map(|member| self.state_at(member, node)).collect();
        let receiving = receivers(states.iter());
        if receiving.is_empty() {
            let to = To::Nobody { group: id.clone() };
            parts.push(Part { share, to });
            return;
        }
        let each = share / receiving.len() as f64;
        for member in receiving.iter().map(|at| &members[*at]) {
            let to = To::Target {
                group: id.clone(),
                instance: member.machine.clone(),
                place: member.place,
                answers: self.machine(&member.machine).is_some_and(Machine::answers),
            };
            parts.push(Part { share: each, to });
        }
    }

    /// What a node takes a target for. One that still has the rule that named the group also still checks the group.
    fn state_at(&self, member: &Member, node: Node) -> TargetState {
        let not_in_use = TargetState::Unused {
            reason: UnusedReason::NotInUse,
        };
        if node == Node::First || member.health.state != not_in_use {
            return member.health.state.clone();
        }
        if self.machine(&member.machine).is_some_and(Machine::answers) {
            TargetState::Healthy
        } else {
            TargetState::Initial {
                reason: InitialReason::InitialHealthChecking,
            }
        }
    }

    fn machine(&self, id: &str) -> Option<&Machine> {
        self.machines.iter().find(|machine| machine.id == id)
    }
}
