package dev.grpsqlite.server.rocksdb;

import dev.grpsqlite.server.spi.PageImage;
import java.io.IOException;
import java.io.UncheckedIOException;
import java.nio.ByteBuffer;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayDeque;
import java.util.ArrayList;
import java.util.Deque;
import java.util.List;
import java.util.concurrent.locks.ReadWriteLock;
import java.util.concurrent.locks.ReentrantReadWriteLock;
import org.jspecify.annotations.Nullable;
import org.rocksdb.BlockBasedTableConfig;
import org.rocksdb.BloomFilter;
import org.rocksdb.Cache;
import org.rocksdb.ChecksumType;
import org.rocksdb.ColumnFamilyDescriptor;
import org.rocksdb.ColumnFamilyHandle;
import org.rocksdb.ColumnFamilyOptions;
import org.rocksdb.CompactRangeOptions;
import org.rocksdb.CompressionType;
import org.rocksdb.DBOptions;
import org.rocksdb.EnvOptions;
import org.rocksdb.FlushOptions;
import org.rocksdb.IngestExternalFileOptions;
import org.rocksdb.LRUCache;
import org.rocksdb.Options;
import org.rocksdb.Range;
import org.rocksdb.ReadOptions;
import org.rocksdb.ReadTier;
import org.rocksdb.RocksDB;
import org.rocksdb.RocksDBException;
import org.rocksdb.RocksIterator;
import org.rocksdb.SizeApproximationFlag;
import org.rocksdb.Slice;
import org.rocksdb.SstFileWriter;
import org.rocksdb.Statistics;
import org.rocksdb.TablePropertiesCollectorFactory;
import org.rocksdb.WALRecoveryMode;
import org.rocksdb.WriteBatch;
import org.rocksdb.WriteOptions;

/**
 * The one RocksDB: how it is set up, and every native object's owner. Thread-safe.
 *
 * <h2>Memory</h2>
 *
 * Bounded, whatever is stored or written: the block cache holds index and filter blocks too; three
 * buffers of 32 MiB for pages and two of 8 MiB for the rest; at most {@link #OPEN_FILES} tables
 * open; one compaction at a time beside one flush. A transaction of any size passes through the
 * buffers.
 *
 * <h2>Recovery</h2>
 *
 * The log is replayed up to the first damage, since after a loss of power its unsynced end may have
 * holes; what was synced lies before any hole. That the log was not damaged <em>before</em> that is
 * what {@link SyncMark} checks.
 *
 * <h2>Closing</h2>
 *
 * A native call on a closed RocksDB would end the process. So whoever calls from a thread that the
 * store does not own calls {@link #enter} first, and {@link #close} waits until they left.
 */
final class Engine implements AutoCloseable {
  /** Where a read may look. */
  enum Tier {
    MEMORY,
    DISK
  }

  private static final long MIB = 1 << 20;

  /** Each takes a descriptor and some tens of KiB besides its blocks in the cache. */
  private static final int OPEN_FILES = 512;

  /** Bounds what a restart has to replay: some seconds. */
  private static final long LOG_BYTES = 256 * MIB;

  private static final long PAGE_BUFFER_BYTES = 32 * MIB;
  private static final long META_BUFFER_BYTES = 8 * MIB;

  /** Four pages of the usual size: neighbours tend to be read together. */
  private static final long PAGE_BLOCK_BYTES = 16 << 10;

  /**
   * A table with so many deletions among so many entries in a row is compacted soon, for what they
   * delete takes up room until then: a stage that was dropped leaves a deletion for each page.
   */
  private static final long DELETIONS_TO_COMPACT = 1024;

  private static final long DELETIONS_WINDOW = 2048;

  private static final byte[] PAGES_NAME = "pages".getBytes(StandardCharsets.US_ASCII);

  private final ReadWriteLock gate = new ReentrantReadWriteLock();
  private final Deque<AutoCloseable> open = new ArrayDeque<>();
  private boolean closed; // protected by gate

  private final RocksDB db;
  private final ColumnFamilyHandle meta;
  private final ColumnFamilyHandle pages;
  private final WriteOptions synced;
  private final WriteOptions unsynced;
  private final WriteOptions background;
  private final ReadOptions metaInMemory;
  private final ReadOptions metaOnDisk;
  private final ReadOptions pagesInMemory;
  private final ReadOptions pagesOnDisk;
  private final ReadOptions sequenceInMemory;
  private final ReadOptions sequenceOnDisk;
  private final ReadOptions scan;
  private final Options tableOptions;
  private final Options plainTableOptions;
  private final EnvOptions tableFiles;
  private final IngestExternalFileOptions ingestion;

  /**
   * @param create whether to make the database if there is none
   * @param statistics counts, if given; stays the caller's
   */
  Engine(Path folder, long cacheBytes, boolean create, @Nullable Statistics statistics)
      throws RocksDBException {
    NativeLibrary.load();
    boolean ready = false;
    try {
      Cache cache = own(new LRUCache(cacheBytes, -1, false, 0.2));
      BloomFilter filter = own(new BloomFilter(10));
      ColumnFamilyOptions metaOptions = own(new ColumnFamilyOptions());
      metaOptions
          .setWriteBufferSize(META_BUFFER_BYTES)
          .setMaxWriteBufferNumber(2)
          .setTableFormatConfig(table(cache, filter).setBlockSize(4 << 10))
          .setCompressionType(CompressionType.LZ4_COMPRESSION);
      // Only Options has this setting.
      Options compactsDeletions = own(new Options());
      compactsDeletions.setTablePropertiesCollectorFactory(
          List.of(
              own(
                  TablePropertiesCollectorFactory.NewCompactOnDeletionCollectorFactory(
                      DELETIONS_WINDOW, DELETIONS_TO_COMPACT, 0))));
      ColumnFamilyOptions pageOptions = own(new ColumnFamilyOptions(compactsDeletions));
      pageOptions
          .setWriteBufferSize(PAGE_BUFFER_BYTES)
          .setMaxWriteBufferNumber(3)
          .useFixedLengthPrefixExtractor(Keys.PAGE_PREFIX_BYTES)
          .setTableFormatConfig(
              table(cache, filter).setWholeKeyFiltering(false).setBlockSize(PAGE_BLOCK_BYTES))
          .setCompressionType(CompressionType.LZ4_COMPRESSION);
      DBOptions options = own(new DBOptions());
      options
          .setCreateIfMissing(create)
          .setCreateMissingColumnFamilies(create)
          .setParanoidChecks(true)
          .setWalRecoveryMode(WALRecoveryMode.PointInTimeRecovery)
          .setMaxTotalWalSize(LOG_BYTES)
          // Begins to write out early, so that a sync finds little left to do.
          .setWalBytesPerSync(MIB)
          .setBytesPerSync(MIB)
          .setMaxOpenFiles(OPEN_FILES)
          .setMaxBackgroundJobs(2)
          .setCompactionReadaheadSize(256 << 10)
          .setMaxLogFileSize(4 * MIB)
          .setKeepLogFileNum(4)
          .setStatsDumpPeriodSec(0)
          .setStatsPersistPeriodSec(0);
      if (statistics != null) {
        options.setStatistics(statistics);
      }
      tableOptions = own(new Options(options, pageOptions));
      plainTableOptions =
          own(new Options(options, pageOptions).setCompressionType(CompressionType.NO_COMPRESSION));
      tableFiles = own(new EnvOptions(options));
      ingestion = own(new IngestExternalFileOptions().setMoveFiles(true));
      synced = own(new WriteOptions().setSync(true));
      unsynced = own(new WriteOptions());
      background = own(new WriteOptions().setLowPri(true));
      metaInMemory = own(new ReadOptions().setReadTier(ReadTier.BLOCK_CACHE_TIER));
      metaOnDisk = own(new ReadOptions());
      pagesInMemory =
          own(new ReadOptions().setReadTier(ReadTier.BLOCK_CACHE_TIER).setPrefixSameAsStart(true));
      pagesOnDisk = own(new ReadOptions().setPrefixSameAsStart(true));
      sequenceInMemory =
          own(new ReadOptions().setReadTier(ReadTier.BLOCK_CACHE_TIER).setTotalOrderSeek(true));
      sequenceOnDisk = own(new ReadOptions().setTotalOrderSeek(true));
      scan = own(new ReadOptions().setTotalOrderSeek(true).setFillCache(false));
      List<ColumnFamilyHandle> handles = new ArrayList<>();
      db =
          own(
              RocksDB.open(
                  options,
                  folder.toString(),
                  List.of(
                      new ColumnFamilyDescriptor(RocksDB.DEFAULT_COLUMN_FAMILY, metaOptions),
                      new ColumnFamilyDescriptor(PAGES_NAME, pageOptions)),
                  handles));
      handles.forEach(this::own);
      meta = handles.get(0);
      pages = handles.get(1);
      ready = true;
    } finally {
      if (!ready) {
        closeAll();
      }
    }
  }

  private static BlockBasedTableConfig table(Cache cache, BloomFilter filter) {
    return new BlockBasedTableConfig()
        .setBlockCache(cache)
        .setCacheIndexAndFilterBlocks(true)
        .setCacheIndexAndFilterBlocksWithHighPriority(true)
        .setPinL0FilterAndIndexBlocksInCache(true)
        .setFilterPolicy(filter)
        .setOptimizeFiltersForMemory(true)
        // The fastest in the library as it is built for Java, without any processor's extensions.
        .setChecksumType(ChecksumType.kxxHash64);
  }

  private <T extends AutoCloseable> T own(T object) {
    open.push(object);
    return object;
  }

  /** Says whether the engine is open, and then keeps it so until {@link #leave}. */
  boolean enter() {
    gate.readLock().lock();
    if (closed) {
      gate.readLock().unlock();
      return false;
    }
    return true;
  }

  void leave() {
    gate.readLock().unlock();
  }

  byte @Nullable [] get(byte[] key, Tier tier) throws RocksDBException {
    return db.get(meta, tier == Tier.MEMORY ? metaInMemory : metaOnDisk, key);
  }

  /** Over all but the pages. */
  RocksIterator metaIterator(Tier tier) {
    return db.newIterator(meta, tier == Tier.MEMORY ? metaInMemory : metaOnDisk);
  }

  /** Over the images of a page: it does not go from one page to the next. */
  RocksIterator pageIterator(Tier tier) {
    return db.newIterator(pages, tier == Tier.MEMORY ? pagesInMemory : pagesOnDisk);
  }

  /** Over all images, in the order of their pages. */
  RocksIterator pageSequence(Tier tier) {
    return db.newIterator(pages, tier == Tier.MEMORY ? sequenceInMemory : sequenceOnDisk);
  }

  /** Over all images, for work in the background: what it reads is not kept in memory. */
  RocksIterator pageScan() {
    return db.newIterator(pages, scan);
  }

  RocksIterator metaScan() {
    return db.newIterator(meta, scan);
  }

  /** The number of the newest write. */
  long sequence() {
    return db.getLatestSequenceNumber();
  }

  /** How often work of RocksDB's own threads has failed. */
  long backgroundFailures() {
    try {
      return db.getLongProperty("rocksdb.background-errors");
    } catch (RocksDBException e) {
      throw new IllegalStateException(e); // there is no such property
    }
  }

  /**
   * Writes and syncs the log, and with it all that was written before: a synced write syncs every
   * log file that is not synced yet (RocksDB's {@code DBImpl::PreprocessWrite} marks all of {@code
   * logs_}).
   */
  void writeSynced(WriteBatch batch) throws RocksDBException {
    db.write(synced, batch);
  }

  /** Survives the end of the process, but not yet that of the machine. */
  void writeUnsynced(WriteBatch batch) throws RocksDBException {
    db.write(unsynced, batch);
  }

  /** As {@link #writeUnsynced}, giving way to others. */
  void writeInBackground(WriteBatch batch) throws RocksDBException {
    db.write(background, batch);
  }

  void put(WriteBatch batch, byte[] key, byte[] value) throws RocksDBException {
    batch.put(meta, key, value);
  }

  void delete(WriteBatch batch, byte[] key) throws RocksDBException {
    batch.delete(meta, key);
  }

  void deleteRange(WriteBatch batch, byte[] from, byte[] to) throws RocksDBException {
    batch.deleteRange(meta, from, to);
  }

  void deletePage(WriteBatch batch, byte[] key) throws RocksDBException {
    batch.delete(pages, key);
  }

  void putPage(WriteBatch batch, byte[] key, byte[] value) throws RocksDBException {
    batch.put(pages, key, value);
  }

  void deletePages(WriteBatch batch, byte[] from, byte[] to) throws RocksDBException {
    batch.deleteRange(pages, from, to);
  }

  /**
   * Writes out what is in memory alone, so that what deletions delete can be compacted away, and
   * the log behind both tables deleted. Does not wait.
   */
  void flush() throws RocksDBException {
    try (FlushOptions options = new FlushOptions().setWaitForFlush(false)) {
      db.flush(options, List.of(meta, pages));
    }
  }

  /** Frees at once the tables that hold nothing else. Never again read anything in the range. */
  void deletePageFiles(byte[] from, byte[] to) throws RocksDBException {
    db.deleteFilesInRanges(pages, List.of(from, to), false);
  }

  /** How much is stored in a range, about, deleted or not; what is being written out too. */
  long pageBytes(byte[] from, byte[] to) {
    try (Slice first = new Slice(from);
        Slice last = new Slice(to)) {
      return db.getApproximateSizes(
              pages,
              List.of(new Range(first, last)),
              SizeApproximationFlag.INCLUDE_FILES,
              SizeApproximationFlag.INCLUDE_MEMTABLES)[0];
    }
  }

  /** Makes room of what was deleted in a range. Waits for it. */
  void compactPages(byte[] from, byte[] to) throws RocksDBException {
    try (CompactRangeOptions options =
        new CompactRangeOptions().setExclusiveManualCompaction(false)) {
      db.compactRange(pages, from, to, options);
    }
  }

  /** A thread's way to put pages into batches, with one copy outside the batch. */
  final class PageWriter {
    private final ByteBuffer key = ByteBuffer.allocateDirect(Keys.PAGE_BYTES);
    private final ByteBuffer value = ByteBuffer.allocateDirect(8 + (64 << 10));

    void put(WriteBatch batch, long database, long version, int attempt, PageImage page)
        throws RocksDBException {
      key.clear();
      Keys.page(key, database, page.number(), version, attempt);
      value.clear();
      value.putLong(page.checksum()).put(page.data().duplicate());
      batch.put(pages, key.flip(), value.flip());
    }
  }

  /**
   * A table that is written in the order of its keys, beside RocksDB. One thread at a time; closing
   * it deletes what has not become RocksDB's.
   */
  final class TableWriter implements AutoCloseable {
    private final Path file;
    private final SstFileWriter writer;
    private final ByteBuffer key = ByteBuffer.allocateDirect(Keys.PAGE_BYTES);
    private final ByteBuffer value = ByteBuffer.allocateDirect(8 + (64 << 10));

    /**
     * @param compressed what is not, stays so when RocksDB moves the table as it is
     */
    TableWriter(Path file, boolean compressed) throws RocksDBException {
      this.file = file;
      this.writer = new SstFileWriter(tableFiles, compressed ? tableOptions : plainTableOptions);
      boolean open = false;
      try {
        writer.open(file.toString());
        open = true;
      } finally {
        if (!open) {
          close();
        }
      }
    }

    void put(long database, long version, int attempt, PageImage page) throws RocksDBException {
      key.clear();
      Keys.page(key, database, page.number(), version, attempt);
      value.clear();
      value.putLong(page.checksum()).put(page.data().duplicate());
      writer.put(key.flip(), value.flip());
    }

    /** Writes out the rest, and waits for the disk. */
    void finish() throws RocksDBException {
      writer.finish();
    }

    @Override
    public void close() {
      writer.close();
      try {
        Files.deleteIfExists(file);
      } catch (IOException e) {
        throw new UncheckedIOException(e);
      }
    }
  }

  /** Takes a finished table for its own, durably. */
  void ingest(TableWriter table) throws RocksDBException {
    db.ingestExternalFile(pages, List.of(table.file.toString()), ingestion);
  }

  /** Makes durable what was written before. */
  void syncLog() throws RocksDBException {
    db.syncWal();
  }

  @Override
  public void close() {
    gate.writeLock().lock();
    try {
      if (!closed) {
        closed = true;
        closeAll();
      }
    } finally {
      gate.writeLock().unlock();
    }
  }

  private void closeAll() {
    while (!open.isEmpty()) {
      AutoCloseable object = open.pop();
      try {
        object.close();
      } catch (Exception e) { // AutoCloseable's signature; RocksObject.close throws nothing
        throw new IllegalStateException(e);
      }
    }
  }
}
