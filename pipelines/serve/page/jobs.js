// What the page asks the server for, one thing at a time and the most wanted first.

export class Jobs {
  // plan: the job wanted most now, or null: {kind, key, place, patient, run(signal), fail(error)}.
  //   A patient job is finished although a newer one of the same place waits: the picture follows the hand as
  //   fast as the server does. Any other ends as soon as something else is wanted more.
  // changed: called when a job begins or ends
  constructor(plan, changed) {
    Object.assign(this, { plan, changed, current: null });
  }

  // Look again at what is wanted; to be called whenever that may have changed.
  wake() {
    if (!this.current) {
      this.work();
      return;
    }
    const { job, controller } = this.current;
    const next = this.plan();
    const waits = job.patient && next?.place === job.place;
    if (next?.key !== job.key && !waits) controller.abort();
  }

  stop() {
    this.current?.controller.abort();
  }

  async work() {
    for (let job = this.plan(); job; job = this.plan()) {
      const controller = new AbortController();
      this.current = { job, controller, begun: performance.now() };
      this.changed();
      try {
        await job.run(controller.signal);
      } catch (error) {
        if (!controller.signal.aborted) job.fail(error);
      } finally {
        this.current = null;
      }
    }
    this.changed();
  }
}
