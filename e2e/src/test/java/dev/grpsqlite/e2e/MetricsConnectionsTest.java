package dev.grpsqlite.e2e;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.io.BufferedReader;
import java.io.IOException;
import java.io.InputStreamReader;
import java.net.InetAddress;
import java.net.Socket;
import java.net.SocketTimeoutException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Locale;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

class MetricsConnectionsTest {
  private static final int CONNECTIONS = 40;
  private static final int MOST_LEFT = 8;

  @TempDir Path folder;

  /** Each takes memory; so of those that ask, and then are silent, few stay. */
  @Test
  void fewStayOpen() throws Exception {
    List<Socket> sockets = new ArrayList<>();
    try (ServerProcess server =
        ServerProcess.with("", "memory-server", folder, "--metrics-listen", "127.0.0.1:0")) {
      for (int i = 0; i < CONNECTIONS; i++) {
        Socket socket = new Socket(InetAddress.getLoopbackAddress(), server.metricsPort());
        sockets.add(socket);
        ask(socket);
      }
      int open = 0;
      for (Socket socket : sockets) {
        open += isOpen(socket) ? 1 : 0;
      }
      assertTrue(open <= MOST_LEFT, open + " are open");
    } finally {
      for (Socket socket : sockets) {
        socket.close();
      }
    }
  }

  /** Sends a request and reads the whole answer. */
  private static void ask(Socket socket) throws IOException {
    socket.setSoTimeout(10_000);
    socket
        .getOutputStream()
        .write("GET /metrics HTTP/1.1\r\nHost: a\r\n\r\n".getBytes(StandardCharsets.US_ASCII));
    BufferedReader answer =
        new BufferedReader(
            new InputStreamReader(socket.getInputStream(), StandardCharsets.US_ASCII));
    assertEquals("HTTP/1.1 200 OK", answer.readLine());
    long length = 0;
    for (String line = answer.readLine(); !line.isEmpty(); line = answer.readLine()) {
      if (line.toLowerCase(Locale.ROOT).startsWith("content-length:")) {
        length = Long.parseLong(line.substring(line.indexOf(':') + 1).strip());
      }
    }
    assertTrue(length > 0);
    assertEquals(length, answer.skip(length));
  }

  private static boolean isOpen(Socket socket) throws IOException {
    socket.setSoTimeout(300);
    try {
      return socket.getInputStream().read() >= 0;
    } catch (SocketTimeoutException e) {
      return true;
    }
  }
}
