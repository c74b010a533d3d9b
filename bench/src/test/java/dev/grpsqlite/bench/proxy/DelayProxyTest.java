package dev.grpsqlite.bench.proxy;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.io.DataInputStream;
import java.io.DataOutputStream;
import java.io.IOException;
import java.net.InetAddress;
import java.net.ServerSocket;
import java.net.Socket;
import java.nio.charset.StandardCharsets;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.api.Timeout.ThreadMode;

@Timeout(value = 60, threadMode = ThreadMode.SEPARATE_THREAD)
class DelayProxyTest {
  private static final int DEADLINE_MS = 30_000;

  private ServerSocket server;

  @BeforeEach
  void startEcho() throws IOException {
    server = new ServerSocket(0, 50, InetAddress.getLoopbackAddress());
    daemon(
        () -> {
          while (true) {
            Socket socket = server.accept();
            socket.setTcpNoDelay(true);
            daemon(() -> socket.getInputStream().transferTo(socket.getOutputStream()));
          }
        });
  }

  @AfterEach
  void stopEcho() throws IOException {
    server.close();
  }

  @Test
  void aRoundTripTakesTheDelayAndNotMuchMore() throws Exception {
    for (long micros : List.of(0L, 500L, 2_000L, 20_000L)) {
      try (DelayProxy proxy =
              new DelayProxy(server.getLocalPort(), Duration.ofNanos(micros * 1000));
          Socket socket = connect(proxy)) {
        double least = Double.MAX_VALUE;
        for (int i = 0; i < 20; i++) {
          long begun = System.nanoTime();
          socket.getOutputStream().write(i);
          assertEquals(i, socket.getInputStream().read());
          least = Math.min(least, (System.nanoTime() - begun) / 1e3);
        }
        // The least of twenty: how long this machine is busy elsewhere is not the proxy's.
        assertTrue(least >= micros, least + " µs of " + micros);
        assertTrue(least < micros + 1_500, least + " µs of " + micros);
      }
    }
  }

  /** Twenty requests sent at once come back in about one delay, not in twenty. */
  @Test
  void whatArrivesDuringADelayIsDelayedBesideIt() throws Exception {
    int requests = 20;
    Duration delay = Duration.ofMillis(100);
    try (DelayProxy proxy = new DelayProxy(server.getLocalPort(), delay);
        Socket socket = connect(proxy)) {
      long begun = System.nanoTime();
      for (int i = 0; i < requests; i++) {
        socket.getOutputStream().write(i);
      }
      for (int i = 0; i < requests; i++) {
        assertEquals(i, socket.getInputStream().read());
      }
      double millis = (System.nanoTime() - begun) / 1e6;
      assertTrue(millis >= 100, millis + " ms");
      assertTrue(millis < 1_000, millis + " ms for " + requests + " requests at once");
    }
  }

  /** At 20 ms, one chunk at a time would be 3 MB/s. */
  @Test
  void bandwidthIsNotLimited() throws Exception {
    int mebibytes = 64;
    byte[] block = new byte[1 << 20];
    try (DelayProxy proxy = new DelayProxy(server.getLocalPort(), Duration.ofMillis(20));
        Socket socket = connect(proxy)) {
      long begun = System.nanoTime();
      daemon(
          () -> {
            DataOutputStream out = new DataOutputStream(socket.getOutputStream());
            for (int i = 0; i < mebibytes; i++) {
              block[0] = (byte) i;
              out.write(block);
            }
          });
      DataInputStream in = new DataInputStream(socket.getInputStream());
      byte[] read = new byte[block.length];
      for (int i = 0; i < mebibytes; i++) {
        in.readFully(read);
        assertEquals(i, read[0], "the block that is in turn");
      }
      double perSecond = mebibytes / ((System.nanoTime() - begun) / 1e9);
      assertTrue(perSecond > 30, perSecond + " MiB/s");
    }
  }

  @Test
  void bandwidthIsLimitedIfItIsToBe() throws Exception {
    int bytes = 2 << 20;
    try (DelayProxy proxy = new DelayProxy(server.getLocalPort(), Duration.ZERO, 8 << 20);
        Socket socket = connect(proxy)) {
      long begun = System.nanoTime();
      daemon(() -> socket.getOutputStream().write(new byte[bytes]));
      new DataInputStream(socket.getInputStream()).readFully(new byte[bytes]);
      double seconds = (System.nanoTime() - begun) / 1e9;
      // There and back, the one beside the other.
      assertTrue(seconds >= 0.25, seconds + " s");
      assertTrue(seconds < 2, seconds + " s");
    }
  }

  @Test
  void theEndOfAConnectionPassesThroughAfterWhatWasSentBeforeIt() throws Exception {
    List<String> seen = new ArrayList<>();
    try (ServerSocket greeter = new ServerSocket(0, 1, InetAddress.getLoopbackAddress());
        DelayProxy proxy = new DelayProxy(greeter.getLocalPort(), Duration.ofMillis(20))) {
      daemon(
          () -> {
            try (Socket socket = greeter.accept()) {
              socket.getOutputStream().write("bye".getBytes(StandardCharsets.UTF_8));
            }
          });
      try (Socket socket = connect(proxy)) {
        seen.add(new String(socket.getInputStream().readAllBytes(), StandardCharsets.UTF_8));
      }
    }
    assertEquals(List.of("bye"), seen);
  }

  private static Socket connect(DelayProxy proxy) throws IOException {
    Socket socket = new Socket(InetAddress.getLoopbackAddress(), proxy.port());
    socket.setSoTimeout(DEADLINE_MS);
    socket.setTcpNoDelay(true);
    return socket;
  }

  private interface Body {
    void run() throws IOException;
  }

  private static void daemon(Body body) {
    Thread thread =
        new Thread(
            () -> {
              try {
                body.run();
              } catch (IOException e) {
                // The test is over.
              }
            });
    thread.setDaemon(true);
    thread.start();
  }
}
