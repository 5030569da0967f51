//! [`Text`]: what an event says, for people.

use core::fmt;

use super::event::WatermarkEvent;

/// What an event says, without its level.
pub(super) struct Text<'a>(pub(super) &'a WatermarkEvent);

impl fmt::Display for Text<'_> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let event = self.0;
        if let Some(layout) = event.requested_layout {
            let (size, align) = (layout.size(), layout.align());
            write!(formatter, "a request for {size} bytes, aligned to {align}, was refused; ")?;
        }
        match event.capacity_bytes {
            0 => write!(formatter, "{} bytes are used", event.allocated_bytes),
            capacity => write!(formatter, "{} of {capacity} bytes are used", event.allocated_bytes),
        }
    }
}
