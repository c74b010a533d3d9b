package dev.grpsqlite.pageclient;

import io.grpc.Channel;
import io.grpc.MethodDescriptor;
import java.io.IOException;

/** How calls get to a server. Thread-safe; whoever made it closes it. */
interface Transport extends AutoCloseable {
  /**
   * Where calls to a server go. Nothing is sent before the first one.
   *
   * @param url as in {@link Endpoint}, of one server
   * @throws IOException if a file for TLS cannot be used
   */
  Channel channel(String url) throws IOException;

  /** Another one, for what is better not sent with everything else. */
  Channel another(String url) throws IOException;

  /**
   * Has a call made if this process ends without a {@link #close}, if that is possible. Nothing
   * waits for it.
   *
   * @param urls of servers that have one store, the one to begin with first
   */
  default <Q> void callIfKilled(String urls, MethodDescriptor<Q, ?> method, Q request) {}

  /** Ends the calls that are under way. */
  @Override
  void close();
}
