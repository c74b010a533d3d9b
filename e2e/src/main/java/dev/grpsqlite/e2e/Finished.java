package dev.grpsqlite.e2e;

/** How a child process ended. */
public record Finished(int exit, String out, String err, long peakMemoryBytes) {
  /** What it printed; fails if it did not end well. */
  public String ok() {
    if (exit != 0 || !err.isEmpty()) {
      throw new AssertionError(this.toString());
    }
    return out;
  }

  /** What it printed as an error; fails if it ended well. */
  public String failed() {
    if (exit == 0 && err.isEmpty()) {
      throw new AssertionError("expected an error, got " + this);
    }
    if (exit >= 128) {
      throw new AssertionError("it crashed: " + this);
    }
    return err + out;
  }
}
