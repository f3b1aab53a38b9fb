//! Core: who is offered what. Hierarchical dominant-resource fairness over roles and frameworks, incremental.
