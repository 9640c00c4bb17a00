//! Bank statements: readers, one model, gates, import (contract D1).
