package dev.grpsqlite.e2e;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import dev.grpsqlite.e2e.FaultProxy.Fault;
import java.io.IOException;
import java.net.InetAddress;
import java.net.ServerSocket;
import java.net.Socket;
import java.net.SocketException;
import java.net.SocketTimeoutException;
import java.net.URI;
import java.nio.charset.StandardCharsets;
import java.time.Duration;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;

/** Each fault does to bytes what it says, and is counted. */
class FaultProxyTest {
  private static final int SHORT_MS = 200;
  private static final int LONG_MS = 10_000;
  private static final Duration HELD = Duration.ofMillis(400);

  private ServerSocket listener;
  private FaultProxy proxy;
  private Socket client;
  private Socket server;

  @BeforeEach
  void connect() throws Exception {
    listener = new ServerSocket(0, 5, InetAddress.getLoopbackAddress());
    proxy = new FaultProxy(listener.getLocalPort());
    client = open();
    server = listener.accept();
    server.setSoTimeout(LONG_MS);
  }

  private Socket open() throws Exception {
    Socket socket = new Socket(InetAddress.getLoopbackAddress(), URI.create(proxy.url()).getPort());
    socket.setSoTimeout(LONG_MS);
    return socket;
  }

  @AfterEach
  void close() throws Exception {
    client.close();
    server.close();
    listener.close();
    proxy.close();
  }

  private static void send(Socket socket, String text) throws IOException {
    socket.getOutputStream().write(text.getBytes(StandardCharsets.UTF_8));
  }

  private static void assertReceives(Socket socket, String text) throws IOException {
    byte[] expected = text.getBytes(StandardCharsets.UTF_8);
    assertArrayEquals(expected, socket.getInputStream().readNBytes(expected.length));
  }

  private static void assertReceivesNothing(Socket socket) throws Exception {
    socket.setSoTimeout(SHORT_MS);
    assertThrows(SocketTimeoutException.class, () -> socket.getInputStream().read());
    socket.setSoTimeout(LONG_MS);
  }

  @Test
  void withoutFaultsItPassesBytesBothWays() throws Exception {
    send(client, "question");
    assertReceives(server, "question");
    send(server, "answer");
    assertReceives(client, "answer");
    client.close();
    assertEquals(-1, server.getInputStream().read());
  }

  @Test
  void freezeHoldsOneDirection() throws Exception {
    proxy.inject(Fault.FREEZE, true, HELD);
    long begun = System.nanoTime();
    send(client, "question");
    send(server, "answer");
    assertReceives(client, "answer");
    assertReceives(server, "question");
    assertTrue(System.nanoTime() - begun >= HELD.toNanos());
    assertEquals(1, proxy.fired(Fault.FREEZE));
  }

  @Test
  void dropIsForGoodAndUntilHealed() throws Exception {
    proxy.inject(Fault.DROP, true, Duration.ZERO);
    send(client, "question");
    assertReceivesNothing(server);
    send(server, "answer");
    assertReceivesNothing(client);
    assertEquals(1, proxy.fired(Fault.DROP));
    proxy.heal();
    assertEquals(-1, server.getInputStream().read());
  }

  @Test
  void resetAndTruncate() throws Exception {
    proxy.inject(Fault.TRUNCATE, false, Duration.ZERO);
    send(server, "answer");
    assertReceives(client, "ans");
    assertEquals(-1, client.getInputStream().read());
    assertEquals(1, proxy.fired(Fault.TRUNCATE));
    try (Socket another = open()) {
      proxy.inject(Fault.RESET, true, Duration.ZERO);
      send(another, "question");
      assertThrows(SocketException.class, () -> another.getInputStream().read());
      assertEquals(1, proxy.fired(Fault.RESET));
    }
  }

  @Test
  void duplicate() throws Exception {
    proxy.inject(Fault.DUPLICATE, true, Duration.ZERO);
    send(client, "again");
    assertReceives(server, "againagain");
    assertEquals(1, proxy.fired(Fault.DUPLICATE));
  }

  @Test
  void partitionRefusesAndHoldsUntilItIsOver() throws Exception {
    proxy.inject(Fault.PARTITION, true, Duration.ofMinutes(5));
    send(client, "question");
    assertReceivesNothing(server);
    assertThrows(
        IOException.class,
        () -> {
          try (Socket refused = open()) {
            send(refused, "x");
            if (refused.getInputStream().read() < 0) {
              throw new IOException("closed");
            }
          }
        });
    assertEquals(2, proxy.fired(Fault.PARTITION));
    proxy.heal();
    assertReceives(server, "question");
  }
}
