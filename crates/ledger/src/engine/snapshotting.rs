//! When the writer takes snapshots: chunk by chunk between commits, and whole at a clean stop.

use super::{
    snapshot::{Head, Job},
    writer::Writer,
};

impl Writer {
    fn head(&self) -> Head {
        Head {
            ledger_id: self.ledger_id,
            position: self.journal.durable(),
            seq: self.seq,
            batch: self.batch,
            note: self.note,
            recorded_at: self.status.lock().head.recorded_at,
        }
    }

    /// Starts a snapshot when the journal has grown enough, or takes its next chunk.
    pub(super) fn snapshot_step(&mut self) {
        if self.status.lock().failed.is_some() {
            // Memory holds effects that may not be in the journal.
            self.abandon_job();
            return;
        }
        let frame = self.journal.durable().batch - 1;
        match &mut self.run.job {
            Some(job) if !job.is_complete() => {
                job.step(&self.state, frame);
            }
            Some(job) if job.is_written() => self.finish_job(),
            Some(_) => {}
            None => {
                let grown = self
                    .journal
                    .durable()
                    .lsn
                    .0
                    .saturating_sub(self.snapshot_at.lsn.0);
                if grown >= self.snapshot_bytes {
                    self.start_job();
                }
            }
        }
    }

    fn start_job(&mut self) {
        let head = self.head();
        self.snapshot_at = head.position;
        match Job::start(&self.snapshot_dir, &head, &self.state) {
            Ok(job) => self.run.job = Some(job),
            Err(error) => {
                tracing::warn!(%error, "no snapshot was started; the next start replays more journal")
            }
        }
    }

    fn finish_job(&mut self) {
        if let Some(job) = self.run.job.take()
            && let Err(error) = job.finish()
        {
            tracing::warn!(%error, "a snapshot was not written; the next start replays more journal");
        }
    }

    fn abandon_job(&mut self) {
        if let Some(job) = self.run.job.take() {
            job.abandon();
        }
    }

    pub(super) fn last_snapshot(&mut self) {
        self.abandon_job();
        if self.status.lock().failed.is_some() || self.journal.durable().lsn == self.snapshot_at.lsn
        {
            return;
        }
        self.start_job();
        let frame = self.journal.durable().batch - 1;
        if let Some(job) = &mut self.run.job {
            while job.step(&self.state, frame) {}
        }
        self.finish_job();
    }
}
