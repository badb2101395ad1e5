"""Korean early-childhood research papers in, a fine-tuned and honestly evaluated summariser out.

Importing this package, or any subpackage, loads neither torch nor unsloth.
"""

import warnings

__version__ = "0.1.0"

# tqdm's advice to install widgets, which a saved notebook cannot show
warnings.filterwarnings("ignore", message="IProgress not found")
