package dev.grpsqlite.e2e.soak;

import dev.grpsqlite.e2e.ServerProcess;
import dev.grpsqlite.server.fdb.LocalCluster;
import java.io.IOException;
import java.util.List;
import org.jspecify.annotations.Nullable;

/** The servers of one store, and the cluster that they have it in, if they do. One thread. */
final class Deployment implements AutoCloseable {
  private final List<ServerProcess> servers;
  private final @Nullable LocalCluster cluster;
  private boolean isClusterDown;

  Deployment(List<ServerProcess> servers, @Nullable LocalCluster cluster) {
    this.servers = List.copyOf(servers);
    this.cluster = cluster;
  }

  List<ServerProcess> servers() {
    return servers;
  }

  /** What a client is given: all of them. */
  String url() {
    return String.join(",", servers.stream().map(ServerProcess::url).toList());
  }

  boolean hasCluster() {
    return cluster != null;
  }

  /** Returns false if it is down already. */
  boolean killCluster() {
    if (cluster == null || isClusterDown) {
      return false;
    }
    cluster.kill();
    isClusterDown = true;
    return true;
  }

  void startCluster() throws IOException {
    if (cluster != null && isClusterDown) {
      cluster.start();
      isClusterDown = false;
    }
  }

  /** Kills all, and starts them again on what they have stored. */
  void restart() throws Exception {
    servers.forEach(ServerProcess::kill);
    if (killCluster()) {
      startCluster();
    }
    for (ServerProcess server : servers) {
      server.start();
    }
  }

  @Override
  public void close() {
    servers.forEach(ServerProcess::close);
    if (cluster != null) {
      cluster.close();
    }
  }
}
