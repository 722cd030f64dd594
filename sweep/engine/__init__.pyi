from .local import LocalEngine as LocalEngine
from .local import available_cores as available_cores
from .protocol import Engine as Engine
from .protocol import Results as Results
from .protocol import TrainersLostError as TrainersLostError
from .ray_calls import check_cluster as check_cluster
from .ray_cluster import open_engine as open_engine
from .repeats import mean_result as mean_result
