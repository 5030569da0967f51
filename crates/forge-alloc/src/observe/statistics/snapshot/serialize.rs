//! A snapshot for serde: a struct with a field per counter.

use serde_core::ser::{Serialize, SerializeStruct, Serializer};

use super::StatsSnapshot;

impl Serialize for StatsSnapshot {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut fields = serializer.serialize_struct("StatsSnapshot", 7)?;
        fields.serialize_field("total_allocations", &self.total_allocations)?;
        fields.serialize_field("total_deallocations", &self.total_deallocations)?;
        fields.serialize_field("bytes_allocated", &self.bytes_allocated)?;
        fields.serialize_field("bytes_peak", &self.bytes_peak)?;
        fields.serialize_field("failures", &self.failures)?;
        fields.serialize_field("corruption_events", &self.corruption_events)?;
        fields.serialize_field("resizes", &self.resizes)?;
        fields.end()
    }
}
