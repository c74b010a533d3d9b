package dev.grpsqlite.server.session;

import dev.grpsqlite.server.predict.Predictor;
import dev.grpsqlite.server.session.SessionException.Code;
import dev.grpsqlite.server.spi.DatabaseId;
import dev.grpsqlite.server.spi.SessionId;
import dev.grpsqlite.server.spi.StageId;
import java.util.HashMap;
import java.util.HashSet;
import java.util.LinkedHashMap;
import java.util.Map;
import java.util.OptionalLong;
import java.util.Set;
import java.util.function.BooleanSupplier;
import org.jspecify.annotations.Nullable;

/**
 * One client process's presence: until when, what it may still read, which leases it was given, and
 * how much it has staged.
 *
 * <p>Once it has ended it stays so: whatever then asks for it fails with NO_SUCH_SESSION.
 * Thread-safe by its monitor, under which nothing is called that waits.
 */
public final class Session {
  /** The number of the view that follows the head. */
  public static final int LIVE_VIEW = 0;

  /** Open databases and fixed versions of one session; each takes some 200 bytes. */
  static final int MAX_VIEWS = 65_536;

  /** Databases that are to go if nothing is committed to them; see {@link #dropUnlessCommitted}. */
  static final int MAX_DROPPED = 64;

  /** Each takes 112 KiB at most, and some 4 while little is read. */
  static final int MAX_PREDICTORS = 16;

  /** Of all sessions: 320 MiB at the very most. Who comes later is sent what it asks for. */
  static final int MAX_PREDICTORS_OF_ALL = 2912;

  private final SessionId id;
  private volatile long incarnation;
  private final String clientName;
  private final String owner;
  private final Floors floors;
  private final KnownRelations relations;
  private final SessionLimits limits;

  /** What all sessions have, and those that are counted with this one. */
  private final Holdings all;

  private final Holdings counted;
  private final String countedAs;

  private volatile BooleanSupplier ownerIsKnown;
  private long deadlineNanos;
  private boolean ended;
  private final Map<ViewKey, ViewState> views = new HashMap<>();
  private final Map<DatabaseId, Held> leases = new HashMap<>();
  private final Map<DatabaseId, Long> lostLeases = new HashMap<>();
  private final Map<StageKey, Long> staged = new HashMap<>();
  private final Set<DatabaseId> droppedUnlessCommitted = new HashSet<>();
  private long stagedBytes;
  private @Nullable Watch watch;

  /** Of the databases that were read last. What one of them forgets, costs round trips. */
  private final Map<DatabaseId, Predictor> predictors =
      new LinkedHashMap<>(16, 0.75f, true) {
        @Override
        protected boolean removeEldestEntry(Map.Entry<DatabaseId, Predictor> eldest) {
          boolean tooMany = size() > MAX_PREDICTORS;
          if (tooMany) {
            all.predictors.decrementAndGet();
          }
          return tooMany;
        }
      };

  Session(
      SessionId id,
      long incarnation,
      String clientName,
      String owner,
      BooleanSupplier ownerIsKnown,
      Floors floors,
      KnownRelations relations,
      SessionLimits limits,
      Holdings all,
      Holdings counted,
      String countedAs,
      long deadlineNanos) {
    this.id = id;
    this.incarnation = incarnation;
    this.clientName = clientName;
    this.owner = owner;
    this.ownerIsKnown = ownerIsKnown;
    this.floors = floors;
    this.relations = relations;
    this.limits = limits;
    this.all = all;
    this.counted = counted;
    this.countedAs = countedAs;
    this.deadlineNanos = deadlineNanos;
  }

  public SessionId id() {
    return id;
  }

  /** Tells it from other sessions that its client has had, or will have, under its id; not 0. */
  public long incarnation() {
    return incarnation;
  }

  /** All servers that share the store tell it from others by this number. */
  void isKnownAs(long number) {
    incarnation = number;
  }

  /** For logs. */
  public String clientName() {
    return clientName;
  }

  /** The identity that opened it, which alone may use it. */
  String owner() {
    return owner;
  }

  /** Whom it was counted in for. */
  String countedAs() {
    return countedAs;
  }

  /** Whether who opened it last would be let in now. */
  boolean ownerIsKnown() {
    return ownerIsKnown.getAsBoolean();
  }

  void openedBy(BooleanSupplier isKnown) {
    ownerIsKnown = isKnown;
  }

  /** Moves the end; returns false if it has come already. */
  synchronized boolean renew(long now, long newDeadlineNanos) {
    if (isOver(now)) {
      return false;
    }
    deadlineNanos = newDeadlineNanos;
    return true;
  }

  synchronized boolean isOver(long now) {
    return ended || now - deadlineNanos >= 0;
  }

  synchronized boolean hasEnded() {
    return ended;
  }

  synchronized long nanosToLive(long now) {
    return deadlineNanos - now;
  }

  /** Returns true once: for the caller who then gives back what the session had. */
  synchronized boolean end() {
    if (ended) {
      return false;
    }
    ended = true;
    setStagedBytes(0);
    staged.clear();
    views.forEach((key, view) -> floors.remove(key.database, view.effective()));
    countViews(-views.size());
    views.clear();
    all.predictors.addAndGet(-predictors.size());
    predictors.clear();
    return true;
  }

  /**
   * Sets who tells the client.
   *
   * @return who did so before
   */
  synchronized @Nullable Watch attach(Watch newer) {
    checkNotEnded();
    Watch older = watch;
    watch = newer;
    return older;
  }

  synchronized void detach(Watch over) {
    if (watch == over) {
      watch = null;
    }
  }

  /** Who tells the client, if it wants to be told. */
  synchronized @Nullable Watch watch() {
    return watch;
  }

  /** Has a database dropped when the session has ended, if nothing was ever committed to it. */
  public synchronized void dropUnlessCommitted(DatabaseId database) {
    checkNotEnded();
    if (droppedUnlessCommitted.size() >= MAX_DROPPED
        && !droppedUnlessCommitted.contains(database)) {
      throw new SessionException(
          Code.LIMIT,
          "the session has " + MAX_DROPPED + " databases that may be dropped, which is the limit");
    }
    droppedUnlessCommitted.add(database);
  }

  synchronized Set<DatabaseId> droppedUnlessCommitted() {
    return Set.copyOf(droppedUnlessCommitted);
  }

  /**
   * Enters a view before its version is looked up, so that this version cannot be collected in
   * between. Until then a new view pins everything.
   */
  public synchronized PendingView enterView(DatabaseId database, int number) {
    ViewState view = viewState(new ViewKey(database, number));
    view.pending++;
    return new PendingView(database, number, view);
  }

  /**
   * Raises the floor of a view; a lower one than before has no effect. Makes the view if there is
   * none: after a restart of the server its client tells it again.
   */
  public synchronized void raiseFloor(DatabaseId database, int number, long floor) {
    raise(database, viewState(new ViewKey(database, number)), floor);
  }

  public synchronized void closeView(DatabaseId database, int number) {
    ViewState view = views.remove(new ViewKey(database, number));
    if (view != null) {
      floors.remove(database, view.effective());
      countViews(-1);
      if (number == LIVE_VIEW && predictors.remove(database) != null) {
        all.predictors.decrementAndGet();
      }
    }
  }

  /** What is thought to be read next in a database. */
  public synchronized Predictor predictor(DatabaseId database) {
    Predictor known = predictors.get(database);
    if (known != null) {
      return known;
    }
    Predictor added = new Predictor(relations.of(owner, database));
    if (!ended && all.predictors.get() < MAX_PREDICTORS_OF_ALL) {
      all.predictors.incrementAndGet();
      predictors.put(database, added);
    }
    return added;
  }

  private void countViews(int more) {
    all.views.addAndGet(more);
    counted.views.addAndGet(more);
  }

  private ViewState viewState(ViewKey key) {
    checkNotEnded();
    ViewState view = views.get(key);
    if (view == null) {
      if (views.size() >= MAX_VIEWS) {
        throw new SessionException(
            Code.LIMIT, "the session has " + MAX_VIEWS + " views, which is the limit");
      }
      if (all.views.get() >= limits.views() || counted.views.get() >= limits.views() / 2) {
        throw new SessionException(
            Code.LIMIT,
            all.views.get() >= limits.views()
                ? "all sessions have " + limits.views() + " views, which is the server's limit"
                : "there are " + limits.views() / 2 + " views of this client, which is the limit");
      }
      countViews(1);
      view = new ViewState();
      views.put(key, view);
      floors.add(key.database, view.effective());
    }
    return view;
  }

  private void raise(DatabaseId database, ViewState view, long floor) {
    move(database, view, Math.max(view.floor, floor));
  }

  /**
   * Takes a view back to a floor if it has a higher one, which was of a history that the server has
   * lost: the versions from here on are read, too.
   */
  public synchronized void lowerFloor(DatabaseId database, int number, long floor) {
    ViewState view = viewState(new ViewKey(database, number));
    move(database, view, Math.min(view.floor, floor));
  }

  private void move(DatabaseId database, ViewState view, long floor) {
    long before = view.effective();
    view.established = true;
    view.floor = floor;
    if (floor != before) {
      floors.replace(database, before, floor);
    }
  }

  /**
   * Notes a lease that this session has been given.
   *
   * @return false if the session has ended, so that the lease must be given back
   */
  public synchronized boolean leaseGranted(DatabaseId database, long epoch) {
    if (ended) {
      return false;
    }
    leases.put(database, new Held(epoch, true, false));
    lostLeases.remove(database);
    return true;
  }

  /** Whether this session, and not an earlier one of its id, was given that lease and has it. */
  synchronized boolean wasGranted(DatabaseId database, long epoch) {
    Held held = leases.get(database);
    return !ended && held != null && held.granted && held.epoch == epoch;
  }

  /**
   * To be called before a request is answered that it has the lease. From then on only the client
   * gives it back.
   *
   * @return false if the session does not have it any more, so that it must be taken again
   */
  synchronized boolean leaseTold(DatabaseId database, long epoch) {
    if (!wasGranted(database, epoch)) {
      return false;
    }
    leases.put(database, new Held(epoch, true, true));
    return true;
  }

  /**
   * Gives up a lease that no request was told of.
   *
   * @return whether it must be given back; else somebody has it, or has given it back
   */
  synchronized boolean leaseTakenBack(DatabaseId database, long epoch) {
    Held held = leases.get(database);
    if (!wasGranted(database, epoch) || held == null || held.told) {
      return false;
    }
    leaseReleased(database, epoch);
    return true;
  }

  /**
   * Notes a lease under which this session has written, unless it is known already, or known to be
   * lost: it was given by this server before it restarted.
   *
   * @return false if the session has ended, so that the lease must be given back
   */
  public synchronized boolean leaseUsed(DatabaseId database, long epoch) {
    if (ended) {
      return false;
    }
    if (!lostLeases.containsKey(database)) {
      leases.putIfAbsent(database, new Held(epoch, false, true));
    }
    return true;
  }

  /** The epoch of the lease that this session was last given, if it was not given back. */
  public synchronized OptionalLong leaseEpoch(DatabaseId database) {
    Held held = leases.get(database);
    return held == null ? OptionalLong.empty() : OptionalLong.of(held.epoch);
  }

  /** Fails with LIMIT if the session has as many leases as it may, and not this one among them. */
  public synchronized void checkRoomForLease(DatabaseId database) {
    if (leases.size() >= limits.leasesPerSession() && !leases.containsKey(database)) {
      throw new SessionException(
          Code.LIMIT,
          "the session has " + limits.leasesPerSession() + " leases, which is the limit");
    }
  }

  /** Gives up what there was of a lease. */
  public synchronized void leaseReleased(DatabaseId database, long epoch) {
    if (forgetLease(database, epoch)) {
      dropStagedOf(database);
    }
    lostLeases.remove(database);
  }

  private boolean forgetLease(DatabaseId database, long epoch) {
    Held held = leases.get(database);
    return held != null && held.epoch == epoch && leases.remove(database, held);
  }

  /** The store said that this epoch is over. The client is told. */
  public void leaseLost(DatabaseId database, long epoch) {
    Watch told;
    synchronized (this) {
      if (!forgetLease(database, epoch)) {
        return;
      }
      lostLeases.put(database, epoch);
      dropStagedOf(database);
      told = watch;
    }
    if (told != null) {
      told.leaseLost(database, epoch);
    }
  }

  /** Leases that were lost and neither given back nor granted again since, with their epochs. */
  public synchronized Map<DatabaseId, Long> lostLeases() {
    return Map.copyOf(lostLeases);
  }

  synchronized Map<DatabaseId, Long> leases() {
    Map<DatabaseId, Long> epochs = new HashMap<>();
    leases.forEach((database, held) -> epochs.put(database, held.epoch));
    return epochs;
  }

  /**
   * Counts bytes that are about to be staged. A page that is staged again counts again.
   *
   * @throws SessionException LIMIT, if that would be more than the limit
   */
  public synchronized void addStaged(DatabaseId database, StageId stage, long bytes, long limit) {
    checkNotEnded();
    if (stagedBytes + bytes > limit) {
      throw new SessionException(
          Code.LIMIT,
          "the session has staged "
              + stagedBytes
              + " bytes; "
              + bytes
              + " more are above the limit of "
              + limit);
    }
    if (counted.stagedBytes.get() + bytes > limits.stagedBytesPerIdentity()) {
      throw new SessionException(
          Code.LIMIT,
          "the sessions of this client have staged "
              + counted.stagedBytes.get()
              + " bytes; "
              + bytes
              + " more are above the limit of "
              + limits.stagedBytesPerIdentity());
    }
    if (all.stagedBytes.get() + bytes > limits.stagedBytes()) {
      throw new SessionException(
          Code.LIMIT,
          "all sessions have staged "
              + all.stagedBytes.get()
              + " bytes; "
              + bytes
              + " more are above the server's limit of "
              + limits.stagedBytes());
    }
    setStagedBytes(stagedBytes + bytes);
    staged.merge(new StageKey(database, stage), bytes, Long::sum);
  }

  /** Counts back what {@link #addStaged} counted: it was refused. */
  public synchronized void takeBackStaged(DatabaseId database, StageId stage, long bytes) {
    StageKey key = new StageKey(database, stage);
    Long counted = staged.get(key);
    if (counted == null) {
      return; // It was dropped meanwhile.
    }
    long less = Math.min(bytes, counted);
    setStagedBytes(stagedBytes - less);
    if (counted > less) {
      staged.put(key, counted - less);
    } else {
      staged.remove(key);
    }
  }

  /** Of which bytes are counted. */
  synchronized int stages() {
    return staged.size();
  }

  public synchronized void dropStaged(DatabaseId database, StageId stage) {
    Long bytes = staged.remove(new StageKey(database, stage));
    setStagedBytes(stagedBytes - (bytes == null ? 0 : bytes));
  }

  private void dropStagedOf(DatabaseId database) {
    staged.keySet().removeIf(key -> key.database.equals(database));
    setStagedBytes(staged.values().stream().mapToLong(Long::longValue).sum());
  }

  private void setStagedBytes(long bytes) {
    all.stagedBytes.addAndGet(bytes - stagedBytes);
    counted.stagedBytes.addAndGet(bytes - stagedBytes);
    stagedBytes = bytes;
  }

  private void checkNotEnded() {
    if (ended) {
      throw SessionException.noSuchSession();
    }
  }

  /**
   * A lease.
   *
   * @param granted whether AcquireLease gave it to this session; else it was found in use
   * @param told whether a request of the client was answered with it
   */
  private record Held(long epoch, boolean granted, boolean told) {}

  private record ViewKey(DatabaseId database, int number) {}

  private record StageKey(DatabaseId database, StageId stage) {}

  private static final class ViewState {
    boolean established;
    long floor;

    /** Openings whose version is being looked up. */
    int pending;

    /** The lowest version that one of them found. */
    long lowestFound = Long.MAX_VALUE;

    long effective() {
      return established ? floor : 0;
    }
  }

  /** A view whose version is being looked up. One of the two methods is called, once. */
  public final class PendingView {
    private final DatabaseId database;
    private final int number;
    private final ViewState view;

    private PendingView(DatabaseId database, int number, ViewState view) {
      this.database = database;
      this.number = number;
      this.view = view;
    }

    /** Whether it was closed meanwhile; there may be another one of that number. */
    private boolean isClosed() {
      return views.get(new ViewKey(database, number)) != view;
    }

    /** The view has this version; what is below need not be kept for it. */
    public void established(long version) {
      synchronized (Session.this) {
        if (isClosed()) {
          return;
        }
        view.pending--;
        view.lowestFound = Math.min(view.lowestFound, version);
        // With two openings at once, the floor is that of the older version.
        if (view.pending == 0 && !view.established) {
          raise(database, view, view.lowestFound);
        }
      }
    }

    /** There will be no such view, unless another opening makes it. */
    public void failed() {
      synchronized (Session.this) {
        if (isClosed()) {
          return;
        }
        view.pending--;
        if (view.pending == 0 && !view.established) {
          if (view.lowestFound == Long.MAX_VALUE) {
            closeView(database, number);
          } else {
            raise(database, view, view.lowestFound);
          }
        }
      }
    }
  }
}
