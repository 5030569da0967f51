//! Assemblies that are used often, as type aliases.
