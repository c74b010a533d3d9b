package dev.grpsqlite.e2e;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.nio.file.Path;
import java.time.Duration;
import org.junit.jupiter.api.Test;

/**
 * What an idle process sends to stay: bytes for each KeepAlive, counted between them, so that it is
 * all the same how long that took.
 */
class HeartbeatTest {
  private static final int FIRST = 3;
  private static final int COUNTED = 5;
  private static final String TTL_MS = "1500";

  @Test
  void aHeartbeatDoesNotGrowWithTheDatabasesOfAProcess() throws Exception {
    Path home = Folders.make("heartbeat");
    try (ServerProcess server =
            Kind.MEMORY.start(home, "--session-ttl-ms", TTL_MS, "--metrics-listen", "127.0.0.1:0");
        FaultProxy proxy = new FaultProxy(server.port())) {
      Client client = new Client(home, proxy.url());
      double one = bytesOfHeartbeat(server, proxy, client, 1);
      double ten = bytesOfHeartbeat(server, proxy, client, 10);
      double hundred = bytesOfHeartbeat(server, proxy, client, 100);
      String all = one + ", " + ten + " and " + hundred + " bytes for 1, 10 and 100 databases";
      System.out.println("a heartbeat has " + all);
      assertTrue(one > 0, all);
      // A database that has its part in it has at least its id, which is 16 bytes.
      assertTrue(ten < one + 10 * 16, all);
      assertTrue(hundred < one + 100 * 16, all);
    } finally {
      Folders.delete(home);
    }
  }

  private static double bytesOfHeartbeat(
      ServerProcess server, FaultProxy proxy, Client client, int databases) throws Exception {
    try (Program program = client.startPython("open_many.py", "of-" + databases, "" + databases)) {
      program.readTo("ready");
      assertEquals(databases, server.metric("grpsqlite_leases", ""));
      // The first ones tell of what has just been opened.
      awaitHeartbeats(server, heartbeats(server) + FIRST);
      double from = heartbeats(server);
      long bytes = proxy.bytes();
      awaitHeartbeats(server, from + COUNTED);
      double perHeartbeat = (proxy.bytes() - bytes) / (heartbeats(server) - from);
      assertEquals(databases, server.metric("grpsqlite_leases", ""), "leases afterwards");
      program.finish().ok();
      return perHeartbeat;
    }
  }

  private static double heartbeats(ServerProcess server) throws Exception {
    return server.metric("grpsqlite_rpcs_total", "PageStore/KeepAlive");
  }

  private static void awaitHeartbeats(ServerProcess server, double count) throws Exception {
    Await.until(count + " heartbeats", Duration.ofMinutes(1), () -> heartbeats(server) >= count);
  }
}
