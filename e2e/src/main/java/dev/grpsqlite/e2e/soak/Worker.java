package dev.grpsqlite.e2e.soak;

import dev.grpsqlite.e2e.FaultProxy;
import dev.grpsqlite.e2e.Finished;
import dev.grpsqlite.e2e.Program;
import java.io.IOException;
import java.time.Duration;
import java.util.List;

/** A client process behind a proxy of its own, which is started again when it was killed. */
final class Worker implements AutoCloseable {
  private static final Duration END = Duration.ofMinutes(2);

  /** How the process is started. */
  interface Starter {
    Program start(FaultProxy proxy) throws Exception;
  }

  private final FaultProxy proxy;
  private final Starter starter;
  private Program program;
  private boolean isStopped;
  private String lastLine = "";

  Worker(int port, Starter starter) throws Exception {
    this.proxy = new FaultProxy(port);
    this.starter = starter;
    this.program = starter.start(proxy);
  }

  FaultProxy proxy() {
    return proxy;
  }

  boolean isStopped() {
    return isStopped;
  }

  boolean isAlive() {
    return program.isAlive();
  }

  String errors() {
    return program.errors();
  }

  /** Whether it says that it is about to commit, and takes its time. */
  boolean isHolding() {
    List<String> lines = program.drain();
    if (!lines.isEmpty()) {
      lastLine = lines.get(lines.size() - 1);
    }
    return !isStopped && lastLine.equals("holding");
  }

  void stop() throws Exception {
    program.signal("STOP");
    isStopped = true;
  }

  void proceed() throws Exception {
    if (isStopped) {
      program.signal("CONT");
      isStopped = false;
    }
  }

  void killAndStartAnother() throws Exception {
    program.close();
    isStopped = false;
    lastLine = "";
    program = starter.start(proxy);
  }

  /** Lets it come to its end, over a network without faults. */
  Finished finish() throws Exception {
    proceed();
    return program.finish(END);
  }

  @Override
  public void close() throws IOException {
    program.close();
    proxy.close();
  }
}
