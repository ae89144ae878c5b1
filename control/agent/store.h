/// The agent's memory: attachments with their addresses, Kubernetes objects and facts of the node, in one SQLite file.
///
/// Shape:   every call is one transaction, committed and on the disk when it returns; a crash at any moment leaves the
///          file before a call or after it. The addresses of an attachment change in the same transaction as its row.
/// IPAM:    a pod gets the lowest address of the block that was never handed out; when there is none, the one that was
///          released longest ago. So a released address is the last to be seen again, and caches of it have aged.
/// Errors:  open: kFailedPrecondition when another agent has the directory, or the database is damaged or of a later
///          version (the file is left as it is). The calls say their own.
/// Thread:  any; a mutex makes them one after another. A call takes about one fsync.
#pragma once

#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <vector>

#include "control/agent/address_block.h"
#include "control/agent/file_lock.h"
#include "control/agent/model.h"
#include "control/agent/sqlite.h"
#include "control/agent/store_blocks.h"
#include "control/agent/store_objects.h"
#include "net/result.h"

namespace millrace::control::agent {

class Store {
 public:
  /// Opens `state_dir`/agent.db, making both if needed, for this process alone.
  static net::Result<std::unique_ptr<Store>> open(const std::string& state_dir);

  /// Which addresses are asked for, when an attachment is begun.
  struct AddressRequest {
    const std::vector<AddressBlock>* blocks = nullptr;  // the built-in IPAM: one of each family; nullptr: none yet
    std::vector<net::IpAddress> wanted;                 // of them, these
    std::vector<net::IpAddress> delegated;              // not empty: exactly these, and no block is asked
  };

  /// Records `attachment` as kAdding with its addresses and routes, and returns it with id and addresses.
  /// Error:  kAlreadyExists for its key, for its host interface, for its vhost-user socket or for a wanted or delegated
  /// address that another has;
  ///         kResourceExhausted naming pool, block and count; kInvalidArgument for a wanted address of no block.
  net::Result<Attachment> begin_add(Attachment attachment, const AddressRequest& request);
  /// Gives an attachment that was begun without addresses these, and its routes; returns it with them.
  /// Error:  kAlreadyExists for an address that another has.
  net::Result<Attachment> give_addresses(Attachment attachment, const std::vector<net::IpAddress>& addresses);
  net::Result<void> set_state(std::int64_t id, AttachmentState state);
  /// Forgets the attachment and releases its addresses. Those outside of `blocks` are forgotten too.
  net::Result<void> finish_delete(std::int64_t id, const std::vector<AddressBlock>& blocks);

  net::Result<std::optional<Attachment>> find(const AttachmentKey& key);
  net::Result<std::vector<Attachment>> list();

  /// Drops what is remembered of released addresses of blocks that are no longer this node's.
  net::Result<void> keep_only_blocks(const std::vector<AddressBlock>& blocks);
  /// Addresses of the block that are in use.
  net::Result<std::uint32_t> used(const AddressBlock& block);

  /// Blocks that were claimed in etcd.
  net::Result<std::vector<ClaimedBlock>> claimed_blocks();
  net::Result<void> put_claimed_block(const ClaimedBlock& claim);
  net::Result<void> erase_claimed_block(const net::Prefix& block);

  /// All Kubernetes objects.
  net::Result<std::vector<StoredObject>> objects();
  /// Puts and removes all of them, or none.
  net::Result<void> change_objects(const std::vector<StoredObject>& put, const std::vector<kube::ObjectKey>& gone);

  net::Result<std::optional<std::string>> meta(const std::string& key);
  net::Result<void> set_meta(const std::string& key, const std::string& value);

 private:
  Store(FileLock lock, Database database) : lock_(std::move(lock)), database_(std::move(database)) {}

  FileLock lock_;
  std::mutex mutex_;
  Database database_;
};

}  // namespace millrace::control::agent
