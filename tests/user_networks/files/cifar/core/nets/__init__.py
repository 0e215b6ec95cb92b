from .net9 import Net9
