"""nki.collectives: between chips. What the cores of one chip have is nki.isa.sendrecv and nki.isa.core_barrier."""
from presil.nki._names import missing

_BETWEEN_CHIPS = "kernels run on one core or a pair, whose cores have nki.isa.sendrecv and nki.isa.core_barrier"
NOT_YET = dict.fromkeys([
    "ReplicaGroup", "all_gather", "all_gather_v", "all_reduce", "all_to_all", "all_to_all_v", "collective_permute",
    "collective_permute_implicit", "collective_permute_implicit_current_processing_rank_id", "collective_permute_implicit_reduce",
    "rank_id", "reduce_scatter"], _BETWEEN_CHIPS)

__getattr__ = missing("nki.collectives", globals(), NOT_YET)
