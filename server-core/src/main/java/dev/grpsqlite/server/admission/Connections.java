package dev.grpsqlite.server.admission;

import dev.grpsqlite.server.admission.Refusals.Limit;
import io.grpc.netty.shaded.io.netty.channel.Channel;
import io.grpc.netty.shaded.io.netty.channel.ChannelHandler.Sharable;
import io.grpc.netty.shaded.io.netty.channel.ChannelHandlerContext;
import io.grpc.netty.shaded.io.netty.channel.ChannelInboundHandlerAdapter;
import io.grpc.netty.shaded.io.netty.channel.ChannelOption;
import java.net.InetSocketAddress;
import java.net.SocketAddress;
import java.util.concurrent.ConcurrentHashMap;
import java.util.concurrent.Future;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.atomic.AtomicInteger;
import org.jspecify.annotations.Nullable;

/**
 * The connections of a server. In the pipeline of a listening socket it resets those that are too
 * many when they are accepted, before anything else is made for them. Thread-safe.
 */
@Sharable
public final class Connections extends ChannelInboundHandlerAdapter {
  private static final String UNIX = "unix";

  private final AdmissionLimits limits;
  private final Refusals refusals;
  private final AtomicInteger count = new AtomicInteger();
  private final ConcurrentHashMap<Object, Integer> perAddress = new ConcurrentHashMap<>();

  /** TCP connections by where they come from. */
  private final ConcurrentHashMap<SocketAddress, Channel> open = new ConcurrentHashMap<>();

  public Connections(AdmissionLimits limits, Refusals refusals) {
    this.limits = limits;
    this.refusals = refusals;
  }

  /** What the clients are told apart by: the address without the port. */
  static Object address(@Nullable SocketAddress peer) {
    return peer instanceof InetSocketAddress tcp && tcp.getAddress() != null
        ? tcp.getAddress()
        : UNIX;
  }

  public int size() {
    return count.get();
  }

  @Override
  public void channelRead(ChannelHandlerContext context, Object accepted) {
    Channel connection = (Channel) accepted;
    Object address = address(connection.remoteAddress());
    Limit limit = enter(address);
    if (limit != null) {
      refusals.refused(limit);
      // With a reset nothing of it stays behind, in this machine either.
      boolean unused = connection.config().setOption(ChannelOption.SO_LINGER, 0);
      connection.unsafe().closeForcibly();
      return;
    }
    SocketAddress peer = connection.remoteAddress();
    if (peer instanceof InetSocketAddress) {
      open.put(peer, connection);
    }
    var unused =
        connection
            .closeFuture()
            .addListener(
                closed -> {
                  if (peer != null) {
                    open.remove(peer, connection);
                  }
                  leave(address);
                });
    connection.pipeline().addFirst(new FirstBytes());
    context.fireChannelRead(connection);
  }

  private @Nullable Limit enter(Object address) {
    if (count.incrementAndGet() > limits.connections()) {
      count.decrementAndGet();
      return Limit.CONNECTIONS;
    }
    if (perAddress.merge(address, 1, Integer::sum) > limits.connectionsPerAddress()) {
      leave(address);
      return Limit.CONNECTIONS_PER_ADDRESS;
    }
    return null;
  }

  private void leave(Object address) {
    perAddress.computeIfPresent(address, (key, before) -> before == 1 ? null : before - 1);
    count.decrementAndGet();
  }

  /** Closes the connection from there, if there is one. */
  void close(@Nullable SocketAddress peer) {
    Channel connection = peer == null ? null : open.get(peer);
    if (connection != null) {
      var unused = connection.close();
    }
  }

  /** Closes a connection on which nothing comes. */
  private final class FirstBytes extends ChannelInboundHandlerAdapter {
    private @Nullable Future<?> end;

    @Override
    public void channelActive(ChannelHandlerContext context) {
      end =
          context
              .executor()
              .schedule(
                  () -> {
                    refusals.refused(Limit.STALL);
                    var unused = context.close();
                  },
                  limits.stall().toMillis(),
                  TimeUnit.MILLISECONDS);
      context.fireChannelActive();
    }

    @Override
    public void channelRead(ChannelHandlerContext context, Object bytes) {
      context.pipeline().remove(this);
      context.fireChannelRead(bytes);
    }

    @Override
    public void handlerRemoved(ChannelHandlerContext context) {
      if (end != null) {
        end.cancel(false);
      }
    }
  }
}
