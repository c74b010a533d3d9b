package dev.grpsqlite.pageclient;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.grpc.Status;
import java.time.Duration;
import java.util.List;
import java.util.Queue;
import java.util.concurrent.ConcurrentLinkedQueue;
import java.util.logging.Handler;
import java.util.logging.Level;
import java.util.logging.LogRecord;
import java.util.logging.Logger;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;

/** A connection in this process, by gRPC's own transport. */
@Timeout(60)
class ServerConnectionTest {
  private static final int CONNECTIONS = 30;

  private static ServerConnection connect(String url) throws Exception {
    return new ServerConnection(
        new Endpoint(
            url,
            null,
            new Endpoint.Tls(null, null, null),
            Duration.ofSeconds(30),
            Duration.ofSeconds(30)));
  }

  /** It is taken apart while its transport is still ending. */
  @Test
  void oneToNobodyIsClosedWithoutAWord() throws Exception {
    Queue<String> said = new ConcurrentLinkedQueue<>();
    Handler listening =
        new Handler() {
          @Override
          public void publish(LogRecord record) {
            if (record.getLevel().intValue() >= Level.WARNING.intValue()) {
              said.add(record.getMessage());
            }
          }

          @Override
          public void flush() {}

          @Override
          public void close() {}
        };
    Logger grpc = Logger.getLogger("io.grpc");
    grpc.addHandler(listening);
    try {
      for (int i = 0; i < CONNECTIONS; i++) {
        try (ServerConnection connection = connect("http://127.0.0.1:1")) {
          RemoteException away =
              assertThrows(RemoteException.class, () -> Session.open(connection, "test"));
          assertEquals(Status.Code.UNAVAILABLE, away.code());
          assertTrue(
              away.getMessage().startsWith("no server at http://127.0.0.1:1: "), away::getMessage);
          assertEquals(1, away.getMessage().lines().count(), away::getMessage);
        }
      }
    } finally {
      grpc.removeHandler(listening);
    }
    assertEquals(List.of(), List.copyOf(said));
  }
}
