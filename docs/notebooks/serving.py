# %% [markdown]
# # serving
# %%
print(1)
