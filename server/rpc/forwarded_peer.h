// Who is at the other end of a call.
//
// Calls that the server's own HTTP port makes for browsers come through a channel within the
// process, and all from there. Their client's address stands in the metadata, and is believed only
// with a secret that no client can know. Thread-safe.
#ifndef STYLEX_SERVER_RPC_FORWARDED_PEER_H_
#define STYLEX_SERVER_RPC_FORWARDED_PEER_H_

#include <grpcpp/server_context.h>

#include <string>
#include <utility>

namespace stylex {

// What a call made within this process brings as metadata, so that it counts as `peer`'s (as gRPC
// writes addresses: "ipv4:1.2.3.4:567").
std::pair<std::string, std::string> ForwardedPeer(const std::string& peer);

// The client's address: the forwarded one, if it is this process that forwards it.
std::string PeerOf(const grpc::ServerContextBase& context);

}  // namespace stylex

#endif  // STYLEX_SERVER_RPC_FORWARDED_PEER_H_
