package dev.grpsqlite.e2e.soak;

import dev.grpsqlite.e2e.FaultProxy;
import dev.grpsqlite.e2e.FaultProxy.Fault;
import dev.grpsqlite.e2e.Finished;
import dev.grpsqlite.e2e.Program;
import dev.grpsqlite.e2e.ServerProcess;
import java.io.IOException;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;

/**
 * A client process behind proxies of its own, one for each server, which is started again when it
 * was killed.
 */
final class Worker implements AutoCloseable {
  private static final Duration END = Duration.ofMinutes(2);

  /** How the process is started. */
  interface Starter {
    Program start(String url) throws Exception;
  }

  private final List<FaultProxy> proxies;
  private final Starter starter;
  private Program program;
  private boolean isStopped;
  private String lastLine = "";

  Worker(List<ServerProcess> servers, Starter starter) throws Exception {
    List<FaultProxy> all = new ArrayList<>();
    for (ServerProcess server : servers) {
      all.add(new FaultProxy(server.port()));
    }
    this.proxies = List.copyOf(all);
    this.starter = starter;
    this.program = startProgram();
  }

  private Program startProgram() throws Exception {
    return starter.start(String.join(",", proxies.stream().map(FaultProxy::url).toList()));
  }

  List<FaultProxy> proxies() {
    return proxies;
  }

  int fired(Fault fault) {
    return proxies.stream().mapToInt(each -> each.fired(fault)).sum();
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
    program = startProgram();
  }

  /** Lets it come to its end, over a network without faults. */
  Finished finish() throws Exception {
    proceed();
    return program.finish(END);
  }

  @Override
  public void close() throws IOException {
    program.close();
    for (FaultProxy proxy : proxies) {
      proxy.close();
    }
  }
}
