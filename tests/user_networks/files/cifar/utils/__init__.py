from .helper import *
