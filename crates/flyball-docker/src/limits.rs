//! What a container may use of its host.

use bollard::models::HostConfig;

/// The cores that a container may use; `None` where nothing limits it.
#[expect(clippy::cast_precision_loss, reason = "a host has far less than 2^52 ns of CPU a second")]
pub(crate) fn cores_of(limits: &HostConfig) -> Option<f64> {
    /// What the kernel takes where none is set, in microseconds.
    const USUAL_PERIOD_US: i64 = 100_000;
    let above_0 = |number: Option<i64>| number.filter(|number| *number > 0);
    let nano = above_0(limits.nano_cpus).map(|nano| nano as f64 / 1e9);
    nano.or_else(|| {
        let period = above_0(limits.cpu_period).unwrap_or(USUAL_PERIOD_US);
        above_0(limits.cpu_quota).map(|quota| quota as f64 / period as f64)
    })
}

/// The memory that a container may use, in bytes; `None` where nothing limits it.
pub(crate) fn memory_of(limits: &HostConfig) -> Option<u64> {
    limits.memory.and_then(|bytes| u64::try_from(bytes).ok()).filter(|bytes| *bytes > 0)
}
