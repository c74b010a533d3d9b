package dev.grpsqlite.e2e;

import java.io.DataInputStream;
import java.io.DataOutputStream;
import java.io.IOException;
import java.io.InputStream;
import java.io.OutputStream;
import java.net.InetAddress;
import java.net.ServerSocket;
import java.net.Socket;
import java.util.Set;
import java.util.concurrent.ConcurrentHashMap;
import java.util.concurrent.atomic.AtomicInteger;

/**
 * A TCP proxy before a server that loses answers: once armed, it waits for a request large enough
 * to carry a page, lets it through, and when the server has answered it, resets the connection in
 * place of passing the answer on. Reads HTTP/2's frame headers and nothing else. Thread-safe.
 */
public final class CutProxy implements AutoCloseable {
  private static final int FRAME_HEADER_BYTES = 9;
  private static final int HEADERS = 1;
  private static final int END_STREAM = 1;

  private final ServerSocket listener;
  private final int target;
  private final Set<Socket> sockets = ConcurrentHashMap.newKeySet();
  private final AtomicInteger armed = new AtomicInteger();
  private final AtomicInteger fired = new AtomicInteger();
  private final int requestBytes;

  /**
   * Listens on a port of its own.
   *
   * @param target the server's port at 127.0.0.1
   * @param requestBytes how much a client must send for its answer to be lost
   */
  public CutProxy(int target, int requestBytes) throws IOException {
    this.target = target;
    this.requestBytes = requestBytes;
    listener = new ServerSocket(0, 50, InetAddress.getLoopbackAddress());
    daemon(this::accept);
  }

  public String url() {
    return "http://127.0.0.1:" + listener.getLocalPort();
  }

  /** Loses the answers to this many more requests. */
  public void arm(int count) {
    armed.addAndGet(count);
  }

  /** How many answers were lost so far. */
  public int fired() {
    return fired.get();
  }

  private void accept() {
    while (true) {
      try {
        Socket client = listener.accept();
        Socket server = new Socket(InetAddress.getLoopbackAddress(), target);
        sockets.add(client);
        sockets.add(server);
        client.setTcpNoDelay(true);
        server.setTcpNoDelay(true);
        Relay relay = new Relay(client, server);
        daemon(relay::requests);
        daemon(relay::answers);
      } catch (IOException e) {
        if (listener.isClosed()) {
          return;
        }
      }
    }
  }

  /** One connection. */
  private final class Relay {
    private final Socket client;
    private final Socket server;
    private int sentWhileArmed; // guarded by this

    Relay(Socket client, Socket server) {
      this.client = client;
      this.server = server;
    }

    void requests() {
      byte[] buffer = new byte[1 << 16];
      try (InputStream in = client.getInputStream();
          OutputStream out = server.getOutputStream()) {
        for (int n = in.read(buffer); n >= 0; n = in.read(buffer)) {
          synchronized (this) {
            sentWhileArmed = armed.get() > 0 ? sentWhileArmed + n : 0;
          }
          out.write(buffer, 0, n);
        }
      } catch (IOException e) {
        // The connection is over.
      }
    }

    void answers() {
      try (DataInputStream in = new DataInputStream(server.getInputStream());
          DataOutputStream out = new DataOutputStream(client.getOutputStream())) {
        byte[] header = new byte[FRAME_HEADER_BYTES];
        while (true) {
          in.readFully(header);
          int length = (header[0] & 255) << 16 | (header[1] & 255) << 8 | (header[2] & 255);
          byte[] payload = new byte[length];
          in.readFully(payload);
          if (isToBeLost()) {
            // The answer is complete, so the server has done what it was asked.
            if (header[3] == HEADERS && (header[4] & END_STREAM) != 0) {
              armed.decrementAndGet();
              fired.incrementAndGet();
              client.setSoLinger(true, 0);
              break;
            }
          } else {
            out.write(header);
            out.write(payload);
          }
        }
      } catch (IOException e) {
        // The connection is over.
      } finally {
        close(client);
        close(server);
      }
    }

    private synchronized boolean isToBeLost() {
      return sentWhileArmed >= requestBytes;
    }
  }

  private void close(Socket socket) {
    sockets.remove(socket);
    try {
      socket.close();
    } catch (IOException e) {
      // It is closed enough.
    }
  }

  private static void daemon(Runnable body) {
    Thread thread = new Thread(body, "cut-proxy");
    thread.setDaemon(true);
    thread.start();
  }

  @Override
  public void close() throws IOException {
    listener.close();
    sockets.forEach(this::close);
  }
}
