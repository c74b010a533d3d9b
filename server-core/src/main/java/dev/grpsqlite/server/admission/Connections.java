package dev.grpsqlite.server.admission;

import dev.grpsqlite.server.admission.Refusals.Limit;
import io.grpc.netty.shaded.io.netty.buffer.ByteBuf;
import io.grpc.netty.shaded.io.netty.buffer.ByteBufAllocator;
import io.grpc.netty.shaded.io.netty.channel.Channel;
import io.grpc.netty.shaded.io.netty.channel.ChannelHandler.Sharable;
import io.grpc.netty.shaded.io.netty.channel.ChannelHandlerContext;
import io.grpc.netty.shaded.io.netty.channel.ChannelInboundHandlerAdapter;
import io.grpc.netty.shaded.io.netty.channel.ChannelOption;
import io.grpc.netty.shaded.io.netty.handler.codec.ByteToMessageDecoder;
import io.grpc.netty.shaded.io.netty.handler.codec.http2.Http2ConnectionHandler;
import io.grpc.netty.shaded.io.netty.handler.codec.http2.Http2Settings;
import io.grpc.netty.shaded.io.netty.util.AttributeKey;
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

  /**
   * What those may send in one frame that send much; each frame costs both sides as much as some
   * hundreds of KiB. What has arrived of a frame is in memory and is no call's yet, so of a frame
   * as of those connections there is a bound: 16 MiB in all.
   */
  private static final int LARGE_FRAME_BYTES = 256 << 10;

  private static final int MOST_WITH_LARGE_FRAMES = 64;

  /** Of a large frame, that is kept as it came. */
  private static final int LEAST_PIECE_BYTES = 16 << 10;

  /** Of connections that were thought of. */
  private static final AttributeKey<Boolean> LARGE_FRAMES =
      AttributeKey.valueOf(Connections.class, "large-frames");

  private final AdmissionLimits limits;
  private final Refusals refusals;
  private final AtomicInteger count = new AtomicInteger();
  private final AtomicInteger withLargeFrames = new AtomicInteger();
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

  /** Lets the connection from there send larger frames, if not too many others may. */
  void allowLargeFrames(@Nullable SocketAddress peer) {
    Channel connection = peer == null ? null : open.get(peer);
    if (connection == null || connection.hasAttr(LARGE_FRAMES)) {
      return;
    }
    connection.eventLoop().execute(() -> allowLargeFrames(connection));
  }

  private void allowLargeFrames(Channel connection) {
    ChannelHandlerContext context = connection.pipeline().context(Http2ConnectionHandler.class);
    if (context == null || connection.attr(LARGE_FRAMES).getAndSet(true) != null) {
      return;
    }
    if (withLargeFrames.incrementAndGet() > MOST_WITH_LARGE_FRAMES) {
      withLargeFrames.decrementAndGet();
      return;
    }
    var unused = connection.closeFuture().addListener(closed -> withLargeFrames.decrementAndGet());
    Http2ConnectionHandler http = (Http2ConnectionHandler) context.handler();
    http.setCumulator(Connections::putTogether);
    var unusedToo =
        http.encoder()
            .writeSettings(
                context, new Http2Settings().maxFrameSize(LARGE_FRAME_BYTES), context.newPromise());
    context.flush();
  }

  /**
   * Frames of several reads are put together where they are, not copied for each of them; but what
   * came in small pieces, or would keep a buffer that is mostly empty, takes no more room than it
   * has bytes.
   */
  private static ByteBuf putTogether(ByteBufAllocator buffers, ByteBuf before, ByteBuf next) {
    boolean stays =
        next.readableBytes() >= LEAST_PIECE_BYTES && next.readableBytes() >= next.capacity() / 2;
    return (stays ? ByteToMessageDecoder.COMPOSITE_CUMULATOR : ByteToMessageDecoder.MERGE_CUMULATOR)
        .cumulate(buffers, before, next);
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
