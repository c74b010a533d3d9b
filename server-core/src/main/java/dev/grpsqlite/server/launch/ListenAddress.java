package dev.grpsqlite.server.launch;

import java.net.InetAddress;
import java.net.InetSocketAddress;
import java.net.UnknownHostException;
import java.nio.file.InvalidPathException;
import java.nio.file.Path;

/** Where a server listens: {@code host:port}, {@code [v6]:port} or {@code unix:PATH}. */
public sealed interface ListenAddress {
  /** A TCP socket. */
  record Tcp(InetSocketAddress address) implements ListenAddress {
    @Override
    public String toString() {
      String host = address.getAddress().getHostAddress();
      return (host.indexOf(':') >= 0 ? "[" + host + "]" : host) + ":" + address.getPort();
    }
  }

  /** A Unix domain socket. */
  record Unix(Path path) implements ListenAddress {
    /** The size of {@code sun_path} on Linux, less the final NUL. */
    static final int MAX_PATH_BYTES = 107;

    @Override
    public String toString() {
      return "unix:" + path;
    }
  }

  /**
   * Reads an address.
   *
   * @throws IllegalArgumentException with what is wrong with it
   */
  static ListenAddress parse(String text) {
    if (text.startsWith("unix:")) {
      return unix(text.substring("unix:".length()));
    }
    int colon = text.lastIndexOf(':');
    if (colon <= 0) {
      throw new IllegalArgumentException(
          "'" + text + "' is not HOST:PORT, [IPV6]:PORT or unix:PATH");
    }
    String host = text.substring(0, colon);
    if (host.startsWith("[") && host.endsWith("]")) {
      host = host.substring(1, host.length() - 1);
    } else if (host.indexOf(':') >= 0) {
      throw new IllegalArgumentException(
          "'" + text + "' is ambiguous; write an IPv6 address as [" + host + "]:PORT");
    }
    try {
      return new Tcp(
          new InetSocketAddress(InetAddress.getByName(host), port(text.substring(colon + 1))));
    } catch (UnknownHostException e) {
      throw new IllegalArgumentException("the host '" + host + "' is not known", e);
    }
  }

  private static int port(String text) {
    int port;
    try {
      port = Integer.parseInt(text);
    } catch (NumberFormatException e) {
      throw new IllegalArgumentException("'" + text + "' is not a port number", e);
    }
    if (port < 0 || port > 65_535) {
      throw new IllegalArgumentException("the port " + port + " is not from 0 to 65535");
    }
    return port;
  }

  private static ListenAddress unix(String path) {
    if (path.isEmpty()) {
      throw new IllegalArgumentException("unix: needs a path");
    }
    if (path.getBytes(java.nio.charset.StandardCharsets.UTF_8).length > Unix.MAX_PATH_BYTES) {
      throw new IllegalArgumentException(
          "the path of a Unix socket has at most " + Unix.MAX_PATH_BYTES + " bytes");
    }
    try {
      return new Unix(Path.of(path));
    } catch (InvalidPathException e) {
      throw new IllegalArgumentException("'" + path + "' is not a path", e);
    }
  }
}
