from .agreement import Repaired as Repaired
from .agreement import repair as repair
from .checks import Finding as Finding
from .checks import Level as Level
from .checks import examine as examine
